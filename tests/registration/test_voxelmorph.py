from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ldfusion.errors import InputError
from ldfusion.registration.inputs import PUBLISHED_MASKS
from ldfusion.registration.published import load_network
from ldfusion.registration.voxelmorph import VoxelMorph, VoxelMorphRegistrar, integrate
from ldfusion.registration.warp import apply_registration

Masks = tuple[torch.Tensor, torch.Tensor]
COMPACT_LAYOUT = {
    **{f"unet_model.enc.{k}.main.weight": (32, 2 if k == 0 else 32, 4, 4) for k in range(4)},
    "unet_model.dec.0.main.weight": (32, 32, 3, 3),
    **{f"unet_model.dec.{k}.main.weight": (32, 64, 3, 3) for k in (1, 2, 3)},
    "unet_model.dec.4.main.weight": (32, 32, 3, 3),
    "unet_model.dec.5.main.weight": (16, 34, 3, 3),
    **{f"unet_model.enc.{k}.main.bias": (32,) for k in range(4)},
    **{f"unet_model.dec.{k}.main.bias": (32,) for k in range(5)},
    "unet_model.dec.5.main.bias": (16,),
    "flow.weight": (2, 16, 3, 3),
    "flow.bias": (2,),
}


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def scene(height: int, width: int) -> torch.Tensor:
    """Smooth random blobs (1, 1, H, W) in [0, 1]."""
    image = cv2.GaussianBlur(noise(height, width).numpy(), (0, 0), 9)
    return torch.from_numpy((image - image.min()) / (image.max() - image.min()))[None, None]


def compact_state(scale: float = 1.0) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return {
        name: scale * torch.randn(shape, generator=g) / max(1, int(np.prod(shape[1:]))) ** 0.5
        for name, shape in COMPACT_LAYOUT.items()
    }


def test_compact_layout_and_size() -> None:
    network = VoxelMorph()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == COMPACT_LAYOUT
    assert sum(p.numel() for p in network.parameters()) == 129_394
    out = network(noise(2, 1, 48, 64), noise(2, 1, 48, 64, seed=2))
    assert out.flow.shape == (2, 2, 48, 64) and out.flow.abs().max() < 1e-2 and out.flow is out.velocity
    assert network.flow.weight.std().item() == pytest.approx(1e-5, rel=0.2) and (network.flow.bias == 0).all()
    with pytest.raises(ValueError, match="multiples of 16"):
        network(noise(1, 1, 40, 64), noise(1, 1, 40, 64))


def test_compact_layers_by_hand(tmp_path: Path) -> None:
    """Strided 4x4 down, nearest upsampling and skips up, as METHODS has it; the stored grid is passed over."""
    weights = compact_state()
    torch.save({**weights, "spatial_transform.grid": torch.zeros(1, 2, 240, 320)}, tmp_path / "model.pt")
    network = load_network(VoxelMorph, "voxelmorph", tmp_path / "model.pt", {})
    assert network.config["inputs"] == [PUBLISHED_MASKS] and network.config["align_corners"] is False

    def block(name: str, x: torch.Tensor, **how: int) -> torch.Tensor:
        w, b = weights[f"unet_model.{name}.main.weight"], weights[f"unet_model.{name}.main.bias"]
        return F.leaky_relu(F.conv2d(x, w, b, padding=1, **how), 0.2)

    def up(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    moving, fixed = noise(1, 1, 32, 48), noise(1, 1, 32, 48, seed=2)
    levels = [torch.cat([moving, fixed], 1)]
    for k in range(4):
        levels.append(block(f"enc.{k}", levels[-1], stride=2))
    x = block("dec.0", levels[4])
    for k, skip in ((1, levels[3]), (2, levels[2]), (3, levels[1])):
        x = block(f"dec.{k}", torch.cat([up(x), skip], 1))
    x = block("dec.5", torch.cat([up(block("dec.4", x)), levels[0]], 1))
    expected = F.conv2d(x, weights["flow.weight"], weights["flow.bias"], padding=1)
    assert torch.allclose(network(moving, fixed).flow, expected.flip(1), atol=1e-5)  # stored (y, x), answered (x, y)


def test_classic_layout_reads_its_widths_from_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = VoxelMorph(layout="classic", encoder=[8, 16], decoder=[16, 8, 8], steps=7)
    names = set(original.state_dict())
    assert {"unet_model.encoder.1.0.main.weight", "unet_model.decoder.0.0.main.bias"} <= names
    assert "unet_model.remaining.0.main.weight" in names
    grids = {"transformer.grid": torch.zeros(1, 2, 32, 32), "integrate.transformer.grid": torch.zeros(1, 2, 16, 16)}
    torch.save({"config": {"inshape": [32, 32]}, "model_state": {**original.state_dict(), **grids}}, tmp_path / "v.pt")
    again = load_network(VoxelMorph, "voxelmorph", tmp_path / "v.pt", {"inputs": ["contours"]})
    assert list(again.config["encoder"]) == [8, 16] and list(again.config["decoder"]) == [16, 8, 8]
    moving, fixed = noise(1, 1, 32, 48), noise(1, 1, 32, 48, seed=2)
    assert torch.equal(again(moving, fixed).flow, original.eval()(moving, fixed).flow)
    default = VoxelMorph(layout="classic", steps=7)
    assert [b[0].main.out_channels for b in default.unet_model.encoder] == [16, 32, 32, 32]
    assert [b[0].main.in_channels for b in default.unet_model.decoder] == [32, 64, 64, 64]
    assert [b.main.in_channels for b in default.unet_model.remaining] == [48, 32, 16]
    assert default(noise(1, 1, 32, 48), noise(1, 1, 32, 48)).velocity.shape == (1, 2, 16, 24)


def test_integration_of_a_constant_and_of_a_rotation() -> None:
    constant = torch.zeros(1, 2, 40, 40)
    constant[:, 0] = 3.0
    inner = integrate(constant, 7)[..., 8:-8, 8:-8]
    assert torch.allclose(inner, constant[..., 8:-8, 8:-8], atol=1e-4)
    # the velocity field of a rotation about the centre by a = 0.2 rad in unit time
    y, x = torch.meshgrid(torch.arange(61.0) - 30, torch.arange(61.0) - 30, indexing="ij")
    a = torch.tensor(0.2)
    flow = integrate(torch.stack([-a * y, a * x])[None], 7)
    expected = torch.stack([x * a.cos() - y * a.sin() - x, x * a.sin() + y * a.cos() - y])[None]
    assert torch.allclose(flow[..., 15:-15, 15:-15], expected[..., 15:-15, 15:-15], atol=0.02)
    # not integrated it would be off by a quarter of a pixel there
    assert (torch.stack([-a * y, a * x])[None] - expected)[..., 15:-15, 15:-15].abs().max() > 0.25


def test_warp_moves_by_pixels_and_the_published_convention_is_off_by_half_a_pixel() -> None:
    image = scene(48, 64)
    flow = torch.zeros(1, 2, 48, 64)
    flow[:, 0], flow[:, 1] = 5.0, -2.0
    ours, theirs = VoxelMorph(), VoxelMorph(align_corners=False)
    assert torch.allclose(ours.warp(image, flow)[..., 2:, :-5], image[..., :-2, 5:], atol=1e-5)
    assert torch.allclose(ours.warp(image, 0 * flow), image, atol=1e-6)
    # theirs samples at p S / (S - 1) - 1/2, so the centre alone stays where it is
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    where = theirs.warp(torch.stack([columns, rows])[None], 0 * flow)
    assert where[0, 0, 20, 10].item() == pytest.approx(10 * 64 / 63 - 0.5, abs=1e-3)
    assert where[0, 1, 30, 10].item() == pytest.approx(30 * 48 / 47 - 0.5, abs=1e-3)


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_registrar_applies_what_the_network_saw(tmp_path: Path, align_corners: bool) -> None:
    """A constant displacement at the working size, asked for at other sizes of both images."""
    weights = {name: torch.zeros(shape) for name, shape in COMPACT_LAYOUT.items()}
    weights["flow.bias"] = torch.tensor([-6.0, 8.0])  # y, x in pixels of 240x320
    save_file(weights, tmp_path / "shift.safetensors")
    registrar = VoxelMorphRegistrar(tmp_path / "shift.safetensors", inputs=["edges"], align_corners=align_corners)
    visible, infrared = scene(480, 640).expand(1, 3, -1, -1), scene(120, 160)
    found = registrar(visible, infrared)
    assert found.model == "flow" and found.flow is not None and found.flow.shape == (2, 480, 640)
    rows, columns = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing="ij")
    where, mask = apply_registration(found, torch.stack([columns, rows])[None], (480, 640))
    x, y = 200, 300
    working = np.array([(x + 0.5) / 2 - 0.5 + 8, (y + 0.5) / 2 - 0.5 - 6])
    if not align_corners:
        working = working * np.array([320 / 319, 240 / 239]) - 0.5
    assert where[0, :, y, x].numpy() == pytest.approx((working + 0.5) / 2 - 0.5, abs=0.01)
    assert mask[0, 0, y, x] and not mask[0, 0, 0, x] and not mask[0, 0, y, -1]
    # the linear part says the same
    stored = np.linalg.solve(found.matrix, [x, y, 1.0])
    assert stored[:2] / stored[2] == pytest.approx(where[0, :, y, x].numpy(), abs=0.02)


def test_golden_errors_of_the_published_weights(sample_masks: Masks) -> None:
    """METHODS: MSE after 0.017717, flow -23.65..9.15 px (lambda 0.6); 0.024283, -23.22..4.70 (1.0)."""
    file = os.environ.get("LDFUSION_VOXELMORPH_CHECKPOINT", "")
    if not file:
        pytest.skip("LDFUSION_VOXELMORPH_CHECKPOINT names no published VoxelMorph checkpoint (..._p06 or ..._p10)")
    expected = (0.017717, -23.65, 9.15) if "p06" in file else (0.024283, -23.22, 4.70)
    moving, fixed = sample_masks
    network = load_network(VoxelMorph, "voxelmorph", file, {})
    flow = network(moving, fixed).flow
    assert F.mse_loss(network.warp(moving, flow), fixed).item() == pytest.approx(expected[0], abs=2e-6)
    assert (flow.min().item(), flow.max().item()) == pytest.approx(expected[1:], abs=0.01)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"fc_loc.4.bias": torch.zeros(6)}, tmp_path / "affine.safetensors")
    with pytest.raises(InputError, match="cannot be loaded as 'voxelmorph': the weights of another network"):
        VoxelMorphRegistrar(tmp_path / "affine.safetensors")
    with pytest.raises(ValueError, match="classic or compact"):
        VoxelMorph(layout="small")

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from ldfusion.errors import InputError
from ldfusion.registration.affine import AffineNetwork, AffineRegistrar
from ldfusion.registration.inputs import PUBLISHED_MASKS
from ldfusion.registration.masks import MaskSource
from ldfusion.registration.published import load_network
from ldfusion.registration.warp import corners, theta_to_matrix, transform_points

GOLDEN_THETA = [[0.8756, -0.0383, -0.0920], [0.0079, 0.9047, 0.0439]]
"""Of the published weights on the sample masks of their repository."""
Masks = tuple[torch.Tensor, torch.Tensor]
PUBLISHED_LAYOUT = {
    "localization.0.weight": (32, 2, 7, 7), "localization.0.bias": (32,),
    "localization.3.weight": (48, 32, 5, 5), "localization.3.bias": (48,),
    "localization.6.weight": (64, 48, 5, 5), "localization.6.bias": (64,),
    "localization.9.weight": (80, 64, 5, 5), "localization.9.bias": (80,),
    "localization.12.weight": (100, 80, 3, 3), "localization.12.bias": (100,),
    "localization.15.weight": (120, 100, 3, 3), "localization.15.bias": (120,),
    "fc_loc.0.weight": (100, 240), "fc_loc.0.bias": (100,),
    "fc_loc.2.weight": (50, 100), "fc_loc.2.bias": (50,),
    "fc_loc.4.weight": (6, 50), "fc_loc.4.bias": (6,),
}  # fmt: skip


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights in the published layout whose theta stays near the identity."""
    g = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in PUBLISHED_LAYOUT.items():
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        tensors[name] = torch.randn(shape, generator=g) / fan**0.5
    tensors["fc_loc.4.weight"] *= 0.3
    tensors["fc_loc.4.bias"] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    return tensors


def by_hand(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The network as the papers describe it: convolution, pooling, ReLU, six times; then three linear layers."""
    for k in (0, 3, 6, 9, 12, 15):
        x = F.conv2d(x, weights[f"localization.{k}.weight"], weights[f"localization.{k}.bias"])
        x = F.relu(F.max_pool2d(x, 2, 2))
    assert x.shape[1:] == (120, 1, 2)
    x = x.flatten(1)
    for k in (0, 2, 4):
        x = F.linear(x, weights[f"fc_loc.{k}.weight"], weights[f"fc_loc.{k}.bias"])
        x = F.relu(x) if k < 4 else x
    return x.view(-1, 2, 3)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def scene(height: int, width: int) -> torch.Tensor:
    """Smooth random blobs (1, 1, H, W) in [0, 1]."""
    image = cv2.GaussianBlur(noise(height, width).numpy(), (0, 0), 9)
    return torch.from_numpy((image - image.min()) / (image.max() - image.min()))[None, None]


def test_layout_size_and_identity_start() -> None:
    network = AffineNetwork()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == PUBLISHED_LAYOUT
    assert sum(p.numel() for p in network.parameters()) == 456_236
    theta = network(noise(2, 1, 240, 320), noise(2, 1, 240, 320, seed=2))
    assert torch.equal(theta, torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2, 2, 3))
    assert AffineNetwork(inputs=["grey", "edges"]).localization[0].in_channels == 4
    with pytest.raises(ValueError, match="240x320"):
        network(noise(1, 1, 240, 322), noise(1, 1, 240, 322))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_published_file_gives_what_its_layers_say(tmp_path: Path, suffix: str) -> None:
    weights = state()
    file = tmp_path / f"model{suffix}"
    if suffix == ".pt":
        torch.save(weights, file, _use_new_zipfile_serialization=False)  # the legacy format of the originals
    else:
        save_file(weights, file)
    network = load_network(AffineNetwork, "affine", file, {})
    assert network.config["inputs"] == [PUBLISHED_MASKS] and network.config["align_corners"] is False
    moving, fixed = noise(2, 1, 240, 320), noise(2, 1, 240, 320, seed=2)
    theta = network(moving, fixed)
    assert torch.allclose(theta, by_hand(weights, torch.cat([moving, fixed], 1)), atol=1e-5)
    assert (theta - torch.eye(2, 3)).abs().max() > 1e-3  # the weights do something


@pytest.mark.parametrize("align_corners", [True, False])
def test_both_conventions_warp_where_their_matrices_say(align_corners: bool) -> None:
    network = AffineNetwork(align_corners=align_corners)
    theta = torch.tensor([GOLDEN_THETA])
    rows, columns = torch.meshgrid(torch.arange(240.0), torch.arange(320.0), indexing="ij")
    where = torch.stack([columns, rows])[None]
    warped, grid = network.warp(where, theta)
    assert grid.shape == (1, 240, 320, 2)
    backward = network.backward_matrices(theta)[0].double()
    for x, y in ((160, 120), (300, 30), (40, 200)):
        expected = (backward @ torch.tensor([x, y, 1.0], dtype=torch.float64))[:2]
        assert warped[0, :, y, x].double() == pytest.approx(expected, abs=2e-3)
    # outside of the moving image there are zeros
    shifted, _ = network.warp(torch.ones(1, 1, 240, 320), torch.tensor([[[1.0, 0, 1], [0, 1, 0]]]))
    assert shifted[..., :150].min() > 1 - 1e-5 and shifted[..., 170:].max() == 0
    if align_corners:
        expected_matrix = theta_to_matrix(np.array(GOLDEN_THETA), (240, 320), (240, 320))
        assert np.abs(np.linalg.inv(backward.numpy()) - expected_matrix).max() < 1e-3


def golden_weights(folder: Path) -> Path:
    """A weight file that answers the golden theta whatever it is shown."""
    weights = {name: torch.zeros(shape) for name, shape in PUBLISHED_LAYOUT.items()}
    weights["fc_loc.4.bias"] = torch.tensor(GOLDEN_THETA).flatten()
    save_file(weights, folder / "golden.safetensors")
    return folder / "golden.safetensors"


def test_golden_errors_of_the_published_theta(tmp_path: Path, sample_masks: Masks) -> None:
    """METHODS: MSE before 0.063461, after 0.031637 (align_corners False) or 0.031624 (True); theta has four digits."""
    moving, fixed = sample_masks
    assert F.mse_loss(moving, fixed).item() == pytest.approx(0.063461, abs=2e-6)
    for align_corners, expected in ((False, 0.031637), (True, 0.031624)):
        network = load_network(AffineNetwork, "affine", golden_weights(tmp_path), {"align_corners": align_corners})
        warped, _ = network.warp(moving, network(moving, fixed))
        assert F.mse_loss(warped, fixed).item() == pytest.approx(expected, abs=3e-5)


def test_golden_theta_of_the_published_weights(sample_masks: Masks) -> None:
    file = os.environ.get("LDFUSION_AFFINE_CHECKPOINT", "")
    if not file:
        pytest.skip("LDFUSION_AFFINE_CHECKPOINT names no published affine checkpoint")
    moving, fixed = sample_masks
    network = load_network(AffineNetwork, "affine", file, {})
    theta = network(moving, fixed)
    assert theta[0] == pytest.approx(torch.tensor(GOLDEN_THETA), abs=1e-4)
    assert F.mse_loss(network.warp(moving, theta)[0], fixed).item() == pytest.approx(0.031637, abs=2e-6)


def test_the_registrar_maps_pixels_of_any_sizes(tmp_path: Path) -> None:
    file = golden_weights(tmp_path)
    nobody = MaskSource(lambda image: torch.zeros_like(image[:, :1]))
    registrar = AffineRegistrar(file, align_corners=True, masks=nobody)
    visible, infrared = scene(200, 400).expand(1, 3, -1, -1), scene(96, 128)
    found = registrar(visible, infrared)
    assert found.model == "affine" and 0 <= found.score <= 1
    # the same in relative coordinates: the network sees both images at its own size
    relative = theta_to_matrix(np.array(GOLDEN_THETA), (240, 320), (240, 320))
    there = transform_points(relative, corners((240, 320)))
    for (x, y), (u, v), (a, b) in zip(corners((240, 320)), there, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        stored = np.array([[(x + 0.5) * 128 / 320 - 0.5, (y + 0.5) * 96 / 240 - 0.5]])
        expected = [(u + 0.5) * 400 / 320 - 0.5, (v + 0.5) * 200 / 240 - 0.5]
        assert transform_points(found.matrix, stored)[0] == pytest.approx(expected, abs=1e-3), (a, b)


def test_passes_follow_each_other(tmp_path: Path) -> None:
    file = golden_weights(tmp_path)
    visible, infrared = scene(240, 320).expand(1, 3, -1, -1), scene(240, 320)
    once, twice = (
        AffineRegistrar(file, inputs=["edges"], align_corners=True, passes=n)(visible, infrared).matrix for n in (1, 2)
    )
    assert np.allclose(twice, once @ once, atol=1e-3)


def test_the_answer_is_polished_on_the_pair(tmp_path: Path) -> None:
    """A network that always answers the identity, on one picture shifted by (9, -6) pixels."""
    save_file(
        {name: torch.zeros(shape) for name, shape in PUBLISHED_LAYOUT.items()}
        | {"fc_loc.4.bias": torch.tensor([1.0, 0, 0, 0, 1, 0])},
        tmp_path / "identity.safetensors",
    )
    picture = scene(280, 360)
    visible, infrared = picture[..., 20:260, 20:340].expand(1, 3, -1, -1), picture[..., 14:254, 29:349]
    options = {"weights": tmp_path / "identity.safetensors", "inputs": ["grey"], "align_corners": True}
    plain = AffineRegistrar(**options)(visible, infrared)
    polished = AffineRegistrar(**options, polish=True)(visible, infrared)
    assert np.allclose(plain.matrix, np.eye(3), atol=1e-4)
    expected = corners((240, 320)) + np.array([9, -6])
    assert np.abs(transform_points(polished.matrix, corners((240, 320))) - expected).mean() < 1
    assert polished.trusted


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weight file"):
        AffineRegistrar(tmp_path / "none.pt")
    (tmp_path / "broken.pt").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be read as weights"):
        AffineRegistrar(tmp_path / "broken.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "pickled.pt")
    with pytest.raises(InputError, match="cannot be read as weights"):
        AffineRegistrar(tmp_path / "pickled.pt")
    save_file({"flow.weight": torch.zeros(2, 16, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"other.safetensors: cannot be loaded as 'affine': the weights of another"):
        AffineRegistrar(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="did you mean 'edges'"):
        AffineRegistrar(golden_weights(tmp_path), inputs=["edgs"])

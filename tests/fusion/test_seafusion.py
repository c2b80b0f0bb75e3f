from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ldfusion.errors import InputError
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.seafusion import (
    DIFFERENCES,
    VARIANTS,
    GradientMagnitude,
    GRDBFusionNetwork,
    from_published,
    load_published,
    published_names,
    start_as_maximum,
)
from ldfusion.io.color import luma, rgb_to_ycbcr


def published(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under the names and shapes of the released code, batch normalisations and all."""
    shapes: dict[str, tuple[int, ...]] = {}
    for stream in ("vis", "inf"):
        shapes[f"{stream}_conv.conv"] = (16, 1, 3, 3)
        for block, inputs, outputs in ((1, 16, 32), (2, 32, 48)):
            name = f"{stream}_rgbd{block}"
            shapes |= {
                f"{name}.dense.conv1.conv": (inputs, inputs, 3, 3),
                f"{name}.dense.conv2.conv": (inputs, 2 * inputs, 3, 3),
                f"{name}.convdown.conv": (outputs, 3 * inputs, 1, 1),
                f"{name}.sobelconv.convx": (inputs, 1, 3, 3),
                f"{name}.sobelconv.convy": (inputs, 1, 3, 3),
                f"{name}.convup.conv": (outputs, inputs, 1, 1),
            }
    generator = torch.Generator().manual_seed(seed)
    for level, inputs, outputs in ((4, 96, 64), (3, 64, 32), (2, 32, 16), (1, 16, 1)):
        shapes[f"decode{level}.conv"] = (outputs, inputs, 3, 3)
    state = {}
    for name, shape in shapes.items():
        state[f"{name}.weight"] = 0.1 * torch.randn(shape, generator=generator)
        if "sobelconv" not in name:
            state[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    for level, width in ((4, 64), (3, 32), (2, 16), (1, 1)):
        for kind in ("weight", "bias", "running_mean", "running_var"):
            state[f"decode{level}.bn.{kind}"] = torch.zeros(width)
        state[f"decode{level}.bn.num_batches_tracked"] = torch.tensor(0)
    return state


def test_parameter_count_of_the_released_network():
    assert sum(p.numel() for p in GRDBFusionNetwork().parameters()) == 166_657
    names = published_names()
    assert sum(v.numel() for k, v in published().items() if k in names) == 166_657
    counted = sum(
        v.numel() for k, v in published().items() if not k.endswith(("running_mean", "running_var", "tracked"))
    )
    assert counted == 166_883  # with the 226 values of batch normalisations that are never applied


def test_the_paper_has_another_last_layer_fixed_kernels_and_no_activation():
    paper, code = GRDBFusionNetwork("paper"), GRDBFusionNetwork("code")
    trained = sum(p.numel() for p in paper.parameters() if p.requires_grad)
    assert trained == 166_657 - 1728 - (16 * 9 - 16)
    assert paper.out.kernel_size == (1, 1) and code.out.kernel_size == (3, 3)
    x = torch.rand(1, 16, 8, 8)
    assert (paper.visible[2](x) < 0).any()
    ratio = code.visible[2](x)
    code.visible[2].paper = True
    plain = code.visible[2](x)
    assert torch.allclose(ratio, torch.where(plain > 0, plain, 0.1 * plain))
    assert all(set(differing) == set(VARIANTS) for differing in DIFFERENCES.values())


def test_an_unknown_variant_is_refused():
    with pytest.raises(InputError, match="unknown variant 'papr'; did you mean 'paper'"):
        GRDBFusionNetwork("papr")


def test_gradient_magnitude_starts_as_sobel():
    ramp = torch.arange(8.0).expand(1, 2, 8, 8)
    with torch.no_grad():
        magnitude = GradientMagnitude(2)(ramp)
    assert torch.equal(magnitude[..., 1:-1, 1:-1], torch.full((1, 2, 6, 6), 8.0))


def test_output_shape_range_and_gradients():
    torch.manual_seed(0)
    network = GRDBFusionNetwork()
    fused = network(torch.rand(2, 1, 17, 23), torch.rand(2, 1, 17, 23))
    assert fused.shape == (2, 1, 17, 23)
    assert fused.min() > 0 and fused.max() < 1
    fused.mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_an_image_does_not_depend_on_its_batch():
    """The released code stretches the colours of a batch together; a bright neighbour would darken this image."""
    torch.manual_seed(0)
    network = GRDBFusionNetwork().eval()
    visible, infrared = 0.3 + 0.2 * torch.rand(3, 3, 20, 20), torch.rand(3, 1, 20, 20)
    visible[0, 0], visible[2, 2] = 0.0, 1.0
    with torch.no_grad():
        together, alone = network.fuse(visible, infrared), network.fuse(visible[1:2], infrared[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-6)
    stretched = (together - together.min()) / (together.max() - together.min())
    assert (stretched[1:2] - alone).abs().max() > 0.05


def test_the_colours_are_those_of_the_visible_image():
    torch.manual_seed(0)
    network = GRDBFusionNetwork().eval()
    visible, infrared = 0.4 + 0.2 * torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        fused, y = network.fuse(visible, infrared), network(luma(visible), infrared)
    assert torch.allclose(luma(fused), y, atol=1e-5)
    assert torch.allclose(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:], atol=1e-5)
    wild = network.fuse(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16), infrared)
    assert wild.min() >= 0 and wild.max() <= 1


def test_half_precision_rounds_the_inside_only():
    torch.manual_seed(0)
    network = GRDBFusionNetwork().eval()
    x, y = torch.rand(2, 1, 1, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        fused = network(x, y)
    assert fused.dtype == torch.float32
    assert (fused * 512 % 1 != 0).any()  # bfloat16 between 0.5 and 1 is multiples of 1/256


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_published_weights_load_and_compute_the_published_network(suffix: str, tmp_path: Path):
    state, file = published(), tmp_path / f"fusion_model{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    network = from_published(file)
    x, y = torch.rand(2, 1, 1, 12, 14)
    with torch.no_grad():
        assert torch.allclose(network(x, y), by_hand(state, x, y), atol=1e-5)


def by_hand(state: dict[str, torch.Tensor], visible: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
    """METHODS 7.1, written from its text on the released names."""
    f = torch.nn.functional

    def conv(name: str, x: torch.Tensor, groups: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return f.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2, groups=groups)

    ends = []
    for name, x in (("vis", visible), ("inf", infrared)):
        x = f.leaky_relu(conv(f"{name}_conv.conv", x), 0.2)
        for block in (f"{name}_rgbd1", f"{name}_rgbd2"):
            a = f.leaky_relu(conv(f"{block}.dense.conv1.conv", x), 0.2)
            b = f.leaky_relu(conv(f"{block}.dense.conv2.conv", torch.cat([x, a], 1)), 0.2)
            main = conv(f"{block}.convdown.conv", torch.cat([x, a, b], 1))
            gx, gy = (conv(f"{block}.sobelconv.conv{axis}", x, x.shape[1]).abs() for axis in "xy")
            x = f.leaky_relu(main + conv(f"{block}.convup.conv", gx + gy), 0.1)
        ends.append(x)
    x = torch.cat(ends, 1)
    for level in (4, 3, 2):
        x = f.leaky_relu(conv(f"decode{level}.conv", x), 0.2)
    return torch.tanh(conv("decode1.conv", x)) / 2 + 0.5


def test_weights_of_another_network_are_refused(tmp_path: Path):
    state = published()
    del state["decode2.conv.bias"]
    with pytest.raises(InputError, match=r"not the released weights.*'decode2\.conv\.bias' is missing"):
        load_published(state)
    with pytest.raises(InputError, match=r"'extra\.weight' is unknown"):
        load_published(published() | {"extra.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"'decode1\.conv\.weight' is \(1, 8, 3, 3\), expected \(1, 16, 3, 3\)"):
        load_published(published() | {"decode1.conv.weight": torch.zeros(1, 8, 3, 3)})
    file = tmp_path / "model.pth"
    with pytest.raises(InputError, match="no such weight file"):
        from_published(file)
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read as weights") as caught:
        from_published(file)
    assert "\n" not in str(caught.value)
    torch.save([1, 2], file)
    with pytest.raises(InputError, match="holds list, not the tensors of a network"):
        from_published(file)


def test_a_start_as_maximum_computes_the_maximum_and_learns_everywhere():
    torch.manual_seed(0)
    network = GRDBFusionNetwork()
    start_as_maximum(network)
    first = torch.linspace(0, 1, 16).view(1, 1, 1, 16).expand(1, 1, 16, 16)
    second = first.transpose(-1, -2)
    fused = network(first, second)
    assert (fused - torch.maximum(first, second)).abs().max() < 0.05
    fused.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_embedded_weights_fuse_by_name():
    """On the brighter half, visible or infrared, the fused luma follows the brighter source, and its edges stay."""
    method = load_method("seafusion")
    visible, infrared = torch.full((1, 3, 48, 64), 0.2), torch.full((1, 1, 48, 64), 0.2)
    visible[..., :32] = 0.7
    infrared[..., 12:36, 44:56] = 0.8
    fused = luma(method.fuse(visible, infrared))
    assert fused.shape == (1, 1, 48, 64)
    assert fused[..., 8:-8, 8:24].mean() == pytest.approx(0.7, abs=0.12)
    assert fused[..., 18:30, 47:53].mean() == pytest.approx(0.8, abs=0.15)
    assert fused[..., 4:8, 36:40].mean() < 0.4

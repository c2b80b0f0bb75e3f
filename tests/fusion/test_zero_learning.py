"""Zero-learning fusion: golden values for the rule of METHODS 4.3 (measured with OpenCV on the same pair)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.fusion import vgg, zero_learning
from ldfusion.fusion.methods import FusionMethod, load_method
from ldfusion.fusion.zero_learning import VARIANTS, ZeroLearningFusion, base_weights, histogram_saliency, look_up
from ldfusion.io.color import luma, rgb_to_ycbcr
from ldfusion.io.filters import box_mean


def golden_pair() -> tuple[Tensor, Tensor]:
    """The two pictures of 192 rows and 208 columns that the golden values belong to, (1, 1, 192, 208)."""
    i, j = np.mgrid[:192, :208]
    first = np.rint(127.5 + 100 * np.sin(i / 9) * np.cos(j / 7)).astype(np.uint8)
    second = np.rint(120 + 90 * np.sin((i + 2 * j) / 15)).astype(np.uint8)
    return tuple(torch.from_numpy(x.astype(np.float32) / 255)[None, None] for x in (first, second))  # type: ignore[return-value]


def features(folder: Path, depth: int = 4, suffix: str = ".safetensors") -> Path:
    """A file in the layout of torchvision's VGG-19 with small random filters."""
    generator = torch.Generator().manual_seed(0)
    state, channels = {}, 3
    for layer, width in zip((0, 2, 5, 7)[:depth], (64, 64, 128, 128), strict=False):
        state[f"features.{layer}.weight"] = torch.randn(width, channels, 3, 3, generator=generator) / channels
        state[f"features.{layer}.bias"] = torch.rand(width, generator=generator) / 50
        channels = width
    file = folder / f"vgg19{suffix}"
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    return file


def test_saliency_and_refined_weights_have_the_golden_values() -> None:
    first, second = golden_pair()
    tables = (histogram_saliency(first), histogram_saliency(second))
    saliency = [look_up(table, grey) for table, grey in zip(tables, (first, second), strict=True)]
    assert saliency[0].double().mean().item() == pytest.approx(58.182340, abs=2e-5)
    assert saliency[1].double().mean().item() == pytest.approx(72.977846, abs=2e-5)
    share = saliency[0] / (saliency[0] + saliency[1])
    assert share.double().mean().item() == pytest.approx(0.438362, abs=2e-6)

    weight = base_weights(first, second, tables, VARIANTS["fast"]).double()
    assert weight.mean().item() == pytest.approx(0.438361, abs=2e-6)
    assert weight.min().item() == pytest.approx(0.432547, abs=2e-6)
    assert weight.max().item() == pytest.approx(0.449457, abs=2e-6)

    base = weight * box_mean(first, 22, False) + (1 - weight) * box_mean(second, 22, False)
    assert base.mean().item() == pytest.approx(0.4832485, abs=1e-6)
    assert base.std(correction=0).item() == pytest.approx(0.0187374, abs=1e-6)
    assert base[0, 0, 0, 0].item() == pytest.approx(0.5744242, abs=1e-6)
    assert base[0, 0, 96, 104].item() == pytest.approx(0.4890587, abs=1e-6)


def test_base_is_the_blur_of_opencv() -> None:
    first, _ = golden_pair()
    np.testing.assert_allclose(box_mean(first, 22, False)[0, 0], cv2.blur(first[0, 0].numpy(), (45, 45)), atol=1e-6)


def test_the_fused_image_follows_the_published_steps(tmp_path: Path) -> None:
    """Steps 4 and 5 written out once more, on top of the golden base."""
    first, second = golden_pair()
    file = features(tmp_path)
    network = vgg.VGGActivity(file, [1])
    bases = [box_mean(x, 22, False) for x in (first, second)]
    details = [x - base for x, base in zip((first, second), bases, strict=True)]
    activity = [network(detail / 255) for detail in details]
    activity = [(a - a.min()) / (a.max() - a.min()) for a in activity]
    total = activity[0].exp() + activity[1].exp() + 1e-5
    weight = base_weights(
        first, second, (histogram_saliency(first), histogram_saliency(second)), zero_learning.VARIANTS["fast"]
    )
    expected = weight * bases[0] + (1 - weight) * bases[1]
    expected = expected + (activity[0].exp() * details[0] + activity[1].exp() * details[1]) / total
    fused = ZeroLearningFusion("vgg19", str(file)).fuse_grey(first, second)
    torch.testing.assert_close(fused, expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_vgg_activity_is_the_sum_of_rectified_filters(tmp_path: Path) -> None:
    image = torch.rand(1, 1, 21, 34, generator=torch.Generator().manual_seed(1))
    for suffix in (".safetensors", ".pth"):
        file = features(tmp_path, suffix=suffix)
        network = vgg.VGGActivity(file, (1, 8))
        first = network.features[0]
        expected = torch.conv2d(image.expand(-1, 3, -1, -1), first.weight, first.bias, padding=1).relu().sum(1)
        values = network(image)
        assert values.shape == (1, 2, 21, 34)
        torch.testing.assert_close(values[:, 0], expected)
        # pooled once: 2x2 pixels share a value, the odd last row repeats the one before
        assert torch.equal(values[:, 1, 0:20:2, :], values[:, 1, 1:20:2, :])
        assert torch.equal(values[:, 1, 20], values[:, 1, 19])


def test_colour_comes_from_the_visible_image_and_the_batch_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(2)
    visible = 0.4 + 0.2 * torch.rand(2, 3, 50, 71, generator=generator)
    infrared = 0.4 + 0.2 * torch.rand(2, 1, 50, 71, generator=generator)
    method = load_method("zero-learning", activity="contrast")
    assert isinstance(method, FusionMethod) and method.name == "zero-learning"
    fused = method.fuse(visible, infrared)
    torch.testing.assert_close(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(fused[1:], method.fuse(visible[1:], infrared[1:]), atol=1e-6, rtol=0)
    same = method.fuse(visible, luma(visible))
    torch.testing.assert_close(same, visible, atol=1e-4, rtol=0)  # two equal images fuse into themselves


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_tiles_agree_with_the_whole_image(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    first, second = torch.rand(2, 1, 1, 211, 258, generator=generator).unbind()
    method = ZeroLearningFusion("vgg19", str(features(tmp_path)), variant)
    whole = method.fuse_grey(first, second)
    monkeypatch.setattr(zero_learning, "_TILE", 40)
    torch.testing.assert_close(method.fuse_grey(first, second), whole, atol=2e-5, rtol=0)


def test_warm_target_in_the_dark_is_kept() -> None:
    visible, infrared = torch.full((1, 3, 96, 96), 0.1), torch.full((1, 1, 96, 96), 0.2)
    infrared[..., 40:56, 40:56] = 0.9
    fused = luma(load_method("zero-learning", activity="contrast").fuse(visible, infrared))
    assert fused[..., 44:52, 44:52].mean() > fused[..., :20, :20].mean() + 0.25


def test_alpha_overlays_the_fused_grey_image() -> None:
    generator = torch.Generator().manual_seed(4)
    visible, infrared = torch.rand(1, 3, 40, 40, generator=generator), torch.rand(1, 1, 40, 40, generator=generator)
    grey = ZeroLearningFusion("contrast").fuse_grey(luma(visible), infrared)
    fused = load_method("zero-learning", activity="contrast", alpha=0.35).fuse(visible, infrared)
    torch.testing.assert_close(fused, 0.65 * visible + 0.35 * grey)


def test_what_is_missing_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(zero_learning, "notice", told.append)  # the real one tells a line once a process
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert ZeroLearningFusion().features is None
    assert len(told) == 1 and "no VGG-19 weights" in told[0]
    with pytest.raises(InputError, match=r"no file .*vgg19.*pth; download"):
        ZeroLearningFusion("vgg19")
    with pytest.raises(InputError, match="no file"):
        ZeroLearningFusion(weights=str(tmp_path / "gone.pth"))
    (tmp_path / "checkpoints").mkdir()
    features(tmp_path, suffix=".pth").rename(vgg.vgg19_cache())
    assert ZeroLearningFusion().features is not None

    text = tmp_path / "text.pth"
    text.write_text("no weights")
    other = tmp_path / "other.safetensors"
    save_file({"features.0.weight": torch.zeros(2, 2)}, other)
    for file, part in ((text, "cannot be read as weights"), (other, "does not hold the features")):
        with pytest.raises(InputError, match=part):
            ZeroLearningFusion(weights=str(file))
    with pytest.raises(InputError, match="known: auto, vgg19, contrast"):
        ZeroLearningFusion("vgg")
    with pytest.raises(InputError, match="known: fast, medical, multilayer"):
        ZeroLearningFusion("contrast", variant="slow")

from __future__ import annotations

from pathlib import Path

import torch

from depth.align import standardise
from depth.estimator import StudentEstimator, enlarge
from depth.network import DepthStudent
from depth.twin import TwinDepth

TINY = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 64}


def make_twin() -> TwinDepth:
    torch.manual_seed(0)
    visible, infrared = DepthStudent(in_channels=3, **TINY), DepthStudent(in_channels=1, **TINY)
    return TwinDepth(StudentEstimator(visible), StudentEstimator(infrared)).eval()


def test_each_modality_has_its_own_estimator() -> None:
    twin = make_twin()
    rgb, grey = torch.rand(2, 3, 40, 50), torch.rand(2, 1, 40, 50)
    torch.testing.assert_close(twin.visible(rgb), twin.visible_estimator(rgb))
    torch.testing.assert_close(twin.infrared(grey), twin.infrared_estimator(grey))
    assert not twin.metric


def test_fused_is_the_mean_of_both_maps_on_the_visible_scale() -> None:
    twin = make_twin()
    image = torch.rand(2, 3, 40, 50, requires_grad=True)
    fused = twin.fused(image)
    assert fused.shape == (2, 1, 40, 50) and (fused >= 0).all()
    luma = 0.299 * image[:, :1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:]
    first, second = twin.visible(image), twin.infrared(luma)
    other = 2 * fused - first  # what is left is the infrared map, rescaled
    torch.testing.assert_close(standardise(other), standardise(second), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(
        other.flatten(1).median(1).values, first.flatten(1).median(1).values, rtol=1e-3, atol=1e-3
    )
    fused.sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


def test_loaded_from_two_folders(tmp_path: Path) -> None:
    twin = make_twin()
    twin.visible_estimator.network.save_pretrained(tmp_path / "visible")
    twin.infrared_estimator.network.save_pretrained(tmp_path / "infrared")
    again = TwinDepth.from_pretrained(tmp_path / "visible", tmp_path / "infrared")
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(again.fused(image), twin.fused(image))


def test_small_maps_are_the_full_ones_before_they_are_enlarged() -> None:
    twin = make_twin()
    image = torch.rand(1, 3, 96, 150)
    for estimate, seen in ((twin.visible, image), (twin.infrared, image[:, :1]), (twin.fused, image)):
        small = estimate(seen, full=False)
        assert small.shape[-2:] != (96, 150)
        assert torch.equal(enlarge(small, 96, 150), estimate(seen))

"""Rendered scenes as a data set of a method's images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ldfusion.benchmarks.task_scenes import FIRST_TRAINED, HELD_OUT, JUDGED, TrainingScenes, judged_scenes
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_depth_label
from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.io.image import read_infrared, read_visible


def mean(visible: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
    return (visible + infrared) / 2


def test_judged_scenes_hold_the_methods_image_and_metres() -> None:
    samples = list(judged_scenes(lambda visible, infrared: infrared, 1))
    assert [sample.groups for sample in samples] == list(JUDGED.values())
    for sample in samples:
        assert sample.image.shape == (1, 1, 240, 320) and sample.metres is not None
        near = sample.metres[sample.metres.isfinite()]
        assert 0.3 < near.min() < 20 < near.max()


def test_a_data_set_of_a_method(tmp_path: Path) -> None:
    from ldfusion.rendering import render_scene

    scenes = TrainingScenes(tmp_path, HELD_OUT + 1)
    root = scenes.of_method("mean", mean)
    trained = select_pairs(root, ["folder"], "splits/train.txt")
    assert [pair.name for pair in trained] == ["folder/night-000", "folder/smoke-000"]
    assert len(select_pairs(root, ["folder"], "splits/val.txt")) == 2 * HELD_OUT
    truth = render_scene(FIRST_TRAINED, "night", "street", (240, 320), registered=True)
    pair = trained[0]
    expected = mean(torch.from_numpy(truth.visible), torch.from_numpy(truth.infrared))
    assert torch.allclose(read_visible(pair.visible)[0], expected, atol=1.1 / 255)
    assert torch.allclose(read_infrared(pair.infrared), luma(expected[None])[0], atol=2 / 255)
    inverse = read_depth_label(scenes.labels, "folder/night-000", "visible")
    assert np.allclose(inverse, 1 / truth.depth_visible_m[0], rtol=1e-3, atol=1e-6) and inverse.min() == 0
    written = pair.visible.stat().st_mtime_ns
    assert scenes.of_method("mean", mean) == root and pair.visible.stat().st_mtime_ns == written


def test_too_few_scenes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 training scenes of each light: 4 are held out"):
        TrainingScenes(tmp_path, HELD_OUT)

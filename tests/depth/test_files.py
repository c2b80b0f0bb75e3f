from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from depth.files import power_of_two_scale, read_depth, write_depth


def test_relative_map_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inverse = 7 * torch.rand(1, 33, 47)
    paths = write_depth(tmp_path / "new", "scene", inverse)
    assert [path.name for path in paths] == ["scene.npy", "scene.png", "scene_color.png"]
    assert sorted(os.listdir(tmp_path / "new")) == ["scene.npy", "scene.png", "scene_color.png"]
    array = np.load(paths[0])
    assert array.dtype == np.float32 and np.array_equal(array, inverse[0].numpy())

    with Image.open(paths[1]) as image:
        assert image.mode == "I;16" and image.size == (47, 33)
        assert image.info["Depth-Quantity"] == "relative inverse depth"
        assert float(image.info["Depth-Scale"]) == 8192
    values, metric = read_depth(paths[1])
    assert not metric and values.shape == (1, 33, 47)
    torch.testing.assert_close(values, inverse, rtol=0, atol=0.5 / 8192)
    with Image.open(paths[2]) as image:
        assert image.mode == "RGB" and "preview" in image.info["Depth-Note"]


def test_metric_map_follows_rep_118(tmp_path: Path) -> None:
    inverse = torch.tensor([[[0.5, 0.1, 0.01, 0.0, torch.nan]]])  # 2 m, 10 m, 100 m, infinitely far, unknown
    paths = write_depth(tmp_path, "scene", inverse, metric=True)
    metres = np.load(paths[0])
    np.testing.assert_allclose(metres[0, :3], [2, 10, 100], rtol=1e-6)
    assert np.isposinf(metres[0, 3]) and np.isnan(metres[0, 4])
    with Image.open(paths[1]) as image:
        assert np.asarray(image).tolist() == [[2000, 10000, 0, 0, 0]]
        assert image.info["Depth-Quantity"] == "metric depth"
    values, metric = read_depth(paths[1])
    assert metric
    assert values[0, 0, :2].tolist() == pytest.approx([2, 10]) and values[0, 0, 2:].isnan().all()


def test_scale_keeps_zero_and_fits_16_bits() -> None:
    assert power_of_two_scale(0) == 1
    for largest in (1e-30, 0.3, 1.0, 7.0, 65535.0, 1e6):
        assert power_of_two_scale(largest) * largest <= 65535
    assert power_of_two_scale(1.0) == 32768


def test_all_zero_and_infinite_maps_are_written(tmp_path: Path) -> None:
    paths = write_depth(tmp_path, "zero", torch.zeros(1, 4, 4))
    assert read_depth(paths[1])[0].abs().max() == 0
    write_depth(tmp_path, "flat", torch.full((1, 4, 4), torch.inf))


def test_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"scene\.npy"):
        write_depth(tmp_path / "file", "scene", torch.rand(1, 4, 4))
    (tmp_path / "scene.npy").mkdir()
    with pytest.raises(OSError, match=r"scene\.npy"):
        write_depth(tmp_path, "scene", torch.rand(1, 4, 4))
    assert sorted(os.listdir(tmp_path)) == ["file", "scene.npy"]


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one depth map"):
        write_depth(tmp_path, "scene", torch.rand(2, 1, 4, 4))
    Image.new("L", (4, 4)).save(tmp_path / "other.png")
    with pytest.raises(ValueError, match=r"other\.png"):
        read_depth(tmp_path / "other.png")

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from depth.cloud import point_cloud, relative_depth, write_ply


def test_metric_plane_is_back_projected_exactly() -> None:
    height, width, fov = 6, 8, 90.0
    inverse = torch.full((1, height, width), 1 / 4)  # a wall 4 m away
    points, colors = point_cloud(inverse, torch.rand(3, height, width), fov, metric=True)
    assert points.shape == (48, 3) and colors.shape == (48, 3) and colors.dtype == torch.uint8
    torch.testing.assert_close(points[:, 2], torch.full((48,), 4.0))
    # The wall spans 2 * 4 m * tan(45 degrees) = 8 m over 8 pixels; pixel centres lie half a pixel inside.
    assert points[0].tolist() == pytest.approx([-3.5, -2.5, 4.0])
    assert points[-1].tolist() == pytest.approx([3.5, 2.5, 4.0])


def test_relative_rule_spans_near_to_far() -> None:
    inverse = torch.linspace(0, 9, 1000).view(10, 100)
    depth = relative_depth(inverse, 20)
    assert depth.min().item() == pytest.approx(1) and depth.max().item() == pytest.approx(20)
    assert (depth.flatten().diff() <= 0).all()
    torch.testing.assert_close(relative_depth(3 * inverse + 5, 20), depth, rtol=1e-3, atol=1e-3)
    assert relative_depth(torch.zeros(4, 4)).isfinite().all()


def test_points_between_two_surfaces_are_left_out() -> None:
    inverse = torch.full((1, 8, 8), 0.5)
    inverse[..., 4:] = 0.1
    image = torch.rand(1, 8, 8)
    kept, _ = point_cloud(inverse, image, metric=True)
    assert len(kept) == 8 * 6
    assert len(point_cloud(inverse, image, metric=True, edge=None)[0]) == 64
    inverse[0, 0, 0] = 0  # infinitely far: no point
    assert len(point_cloud(inverse, image, metric=True, edge=None)[0]) == 63


def test_ply_is_what_its_header_says(tmp_path: Path) -> None:
    points, colors = torch.rand(5, 3), torch.arange(15, dtype=torch.uint8).view(5, 3)
    data = write_ply(tmp_path / "a" / "cloud.ply", points, colors, "metres").read_bytes()
    header, body = data.split(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "comment unit: metres" in lines and "element vertex 5" in lines
    assert [line.split()[-1] for line in lines if line.startswith("property")] == [
        "x",
        "y",
        "z",
        "red",
        "green",
        "blue",
    ]
    rows = np.frombuffer(body, dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    assert np.array_equal(rows["xyz"], points.numpy()) and np.array_equal(rows["rgb"], colors.numpy())


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="180"):
        point_cloud(torch.ones(1, 4, 4), torch.ones(3, 4, 4), 180)
    with pytest.raises(ValueError, match="one size"):
        point_cloud(torch.ones(1, 4, 4), torch.ones(3, 4, 5))
    with pytest.raises(ValueError, match="larger than 1"):
        relative_depth(torch.ones(4, 4), 1)
    with pytest.raises(ValueError, match=r"\(N, 3\)"):
        write_ply(tmp_path / "x.ply", torch.ones(4, 3), torch.ones(4, 2))

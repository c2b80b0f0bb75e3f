"""Depth, homography, flow and boxes are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering import SceneSample, render_scene

SMALL = (96, 128)
Cameras = Callable[..., SceneSample]


def nearest(image: NDArray[np.generic], x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.generic]:
    return image[np.rint(y).astype(int), np.rint(x).astype(int)]


def bilinear(image: NDArray[np.floating], x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    x0, y0 = (np.minimum(part.astype(int), side - 2) for part, side in ((x, image.shape[1]), (y, image.shape[0])))
    fx, fy = x - x0, y - y0
    upper = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
    lower = image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx
    return upper * (1 - fy) + lower * fy


def flow_targets(sample: SceneSample) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Infrared pixel of every visible pixel (H, W) each."""
    height, width = sample.labels.shape
    y, x = np.mgrid[:height, :width]
    return x + sample.flow[..., 0], y + sample.flow[..., 1]


def test_depth_is_that_of_the_world() -> None:
    """Pixels of the road lie in the plane y = 0 when their depth is carried back to the world."""
    sample = render_scene(0, "day", "street", SMALL)
    camera = sample.cameras.visible
    y, x = np.mgrid[: SMALL[0], : SMALL[1]].astype(float)
    finite = np.where(np.isfinite(sample.depth_visible_m[0]), sample.depth_visible_m[0], 1.0)
    world = camera.unproject(x, y, finite)
    pixels, depth = camera.project(world)
    np.testing.assert_allclose(pixels, np.stack([x, y], -1), atol=1e-6)
    np.testing.assert_allclose(depth, finite, rtol=1e-6)
    bottom = world[-6:, SMALL[1] // 2 - 8 : SMALL[1] // 2 + 8]
    ground = np.abs(bottom[..., 1]) < 1e-3
    pavement = np.abs(bottom[..., 1] + 0.12) < 1e-3
    assert (ground | pavement).mean() > 0.6
    assert camera.center[1] < -1.2  # the camera stands above the ground, y points down


def test_homography_is_exact_where_the_cameras_share_their_center(shared_center: Cameras) -> None:
    sample = shared_center(True)
    assert sample.homography is not None
    xi, yi = flow_targets(sample)
    back = np.stack([xi, yi, np.ones_like(xi)], -1) @ sample.homography.T
    y, x = np.mgrid[: SMALL[0], : SMALL[1]]
    seen = sample.flow_mask
    error = np.hypot(back[..., 0] / back[..., 2] - x, back[..., 1] / back[..., 2] - y)
    assert seen.mean() > 0.3
    assert error[seen].max() < 1e-3
    # Labels agree wherever the homography says that both cameras look at the same thing, but for borders of objects.
    agree = nearest(sample.labels_infrared, np.where(seen, xi, 0), np.where(seen, yi, 0)) == sample.labels
    assert agree[seen].mean() > 0.97


def test_flow_finds_the_same_surface_in_the_infrared_image(shared_center: Cameras) -> None:
    sample = shared_center(False, (240, 320))
    assert sample.homography is None
    seen = sample.flow_mask & np.isfinite(sample.depth_visible_m[0])
    x, y = (np.where(seen, part, 0) for part in flow_targets(sample))
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(float)
    depth = np.where(seen, sample.depth_visible_m[0], 1.0)
    pixels, z = sample.cameras.infrared.project(sample.cameras.visible.unproject(columns, rows, depth))
    np.testing.assert_allclose(x[seen], pixels[..., 0][seen], atol=2e-3)
    np.testing.assert_allclose(y[seen], pixels[..., 1][seen], atol=2e-3)
    # Inverse depth is linear on planes, so that bilinear sampling of it is exact away from the borders of objects.
    found = bilinear(1 / sample.depth_infrared_m[0], x, y)
    error = np.abs(found * z - 1)[seen]
    assert seen.mean() > 0.2
    assert np.median(error) < 1e-4
    assert (error < 0.01).mean() > 0.85
    assert (nearest(sample.labels_infrared, x, y) == sample.labels)[seen].mean() > 0.97


def test_flow_mask_leaves_out_what_the_other_camera_does_not_see(shared_center: Cameras) -> None:
    sample = shared_center(False)
    x, y = flow_targets(sample)
    height, width = sample.infrared.shape[1:]
    outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
    assert not (sample.flow_mask & outside).any()


def test_boxes_are_those_of_the_labelled_pixels() -> None:
    names = {
        1: {"car", "van", "truck", "bus"},
        2: {"person"},
        3: {"bicycle"},
        5: {"car stop"},
        6: {"guard rail"},
        7: {"cone"},
        8: {"speed bump"},
    }
    found: set[int] = set()
    for seed in range(14):
        sample = render_scene(seed, "day", "street", SMALL, registered=True)
        height, width = SMALL
        for box in sample.boxes:
            assert 0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height
            (label,) = (label for label, words in names.items() if box.name in words)
            inside = sample.labels[box.y1 : box.y2, box.x1 : box.x2] == label
            # Tight: each side of the box touches a pixel of the class.
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        for label, words in names.items():
            covered = np.zeros(SMALL, bool)
            for box in sample.boxes:
                if box.name in words:
                    covered[box.y1 : box.y2, box.x1 : box.x2] = True
            assert covered[sample.labels == label].all()
        found |= set(np.unique(sample.labels).tolist())
    assert {0, 1, 2, 4} <= found
    assert len(found) >= 7  # the rarer classes exist too

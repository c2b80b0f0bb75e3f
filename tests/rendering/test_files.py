"""Files of a rendered pair."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ldfusion.io.image import read_infrared, read_visible
from ldfusion.rendering import SceneSample, render_scene, write_pair

SMALL = (96, 128)
Cameras = Callable[..., SceneSample]


def test_written_pair_reads_back(shared_center: Cameras, tmp_path: Path) -> None:
    sample = shared_center(False)
    visible, infrared = write_pair(sample, tmp_path, "scene")
    assert visible == tmp_path / "visible" / "scene.png" and infrared == tmp_path / "infrared" / "scene.png"
    image, grey = read_visible(visible)
    assert not grey
    np.testing.assert_allclose(image.numpy(), sample.visible, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(read_infrared(infrared).numpy(), sample.infrared, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(np.load(tmp_path / "depth_visible" / "scene.npy"), sample.depth_visible_m[0])
    labels = (read_infrared(tmp_path / "labels" / "scene.png")[0] * 255).round().numpy()
    np.testing.assert_array_equal(labels, sample.labels)
    flow = np.load(tmp_path / "flow" / "scene.npy")
    np.testing.assert_array_equal(~np.isnan(flow[..., 0]), sample.flow_mask)
    truth = json.loads((tmp_path / "truth" / "scene.json").read_text())
    assert truth["caption"] == sample.caption and truth["homography_infrared_to_visible"] is None
    assert len(truth["boxes"]) == len(sample.boxes)
    np.testing.assert_allclose(truth["cameras"]["infrared"]["K"], sample.cameras.infrared.K)


def test_written_depth_is_in_millimetres(tmp_path: Path) -> None:
    import cv2

    sample = render_scene(1, "day", "street", SMALL, registered=True)
    write_pair(sample, tmp_path, "a")
    stored = cv2.imread(str(tmp_path / "depth_visible" / "a.png"), cv2.IMREAD_UNCHANGED)
    depth = sample.depth_visible_m[0]
    assert stored.dtype == np.uint16 and not (tmp_path / "flow").exists()
    np.testing.assert_allclose(stored[depth < 65], 1000 * depth[depth < 65], atol=0.51)
    assert not stored[np.isinf(depth)].any()

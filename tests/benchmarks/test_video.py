from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from ldfusion.benchmarks.registration_baselines import EccRegistrar
from ldfusion.benchmarks.video import FrameByFrame, known_matrix, measure_clips, misalign, render_rows
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.video import VideoFuser
from ldfusion.io.frame import Frame
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import FramePair
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration.warp import corners, transform_points

SIZE = (144, 192)


@pytest.fixture
def clips(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """Data folder with one still clip of a rendered drawing and its negative, 12 frames."""
    rng = np.random.default_rng(0)
    drawing = np.full((*SIZE, 3), 90, np.uint8)
    for _ in range(60):
        x, y = (int(v) for v in rng.integers(0, [SIZE[1], SIZE[0]]))
        w, h = (int(v) for v in rng.integers(8, 50, 2))
        cv2.rectangle(drawing, (x, y), (x + w, y + h), [int(v) for v in rng.integers(20, 230, 3)], -1)
    frames = np.stack([cv2.GaussianBlur(drawing, (0, 0), 1.2)] * 12)
    negative = 255 - np.rint(frames @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    for side, values in (("visible", frames), ("infrared", negative)):
        folder = tmp_path / "data" / "m3svd_video" / side
        folder.mkdir(parents=True)
        make_video(folder / "a.mp4", values)
    return tmp_path / "data"


def test_the_known_matrix_needs_no_borders() -> None:
    places = transform_points(known_matrix((480, 640)), corners((480, 640)))
    assert (places > 0).all() and (places < [639, 479]).all()
    assert places.mean(0) == pytest.approx([319.5 + 24, 239.5 - 14])
    assert places[1, 0] - places[0, 0] == pytest.approx(0.9 * 639)


def test_the_infrared_is_moved_by_it(clips: Path, tmp_path: Path) -> None:
    truth = known_matrix(SIZE)
    source = clips / "m3svd_video" / "infrared" / "a.mp4"
    misalign(source, tmp_path / "moved.mp4", 0.5, truth)
    with VideoReader(source, "infrared") as first, VideoReader(tmp_path / "moved.mp4", "infrared") as second:
        one, other = (list(reader.frames()) for reader in (first, second))
    assert len(other) == 5
    back = cv2.warpPerspective(other[0].pixels, truth, (SIZE[1], SIZE[0]))
    inside = cv2.warpPerspective(np.full(SIZE, 255, np.uint8), truth, (SIZE[1], SIZE[0])) == 255
    assert np.abs(back.astype(float) - one[0].pixels)[inside].mean() < 2.5


def test_a_clip_is_registered_and_fused_end_to_end(clips: Path, tmp_path: Path) -> None:
    rows = measure_clips(clips, [load_method("mean")], [EccRegistrar()], 1.0, tmp_path / "out")
    (row,) = rows
    assert (row.clip, row.method, row.frames) == ("a", "mean", 10)
    assert row.before == pytest.approx(
        corner_error(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]]), known_matrix(SIZE), SIZE)
    )
    assert row.error < 1.0 < 5.0 < row.before
    assert row.error <= row.worst < 2.0
    assert row.edges[1] > 0.8 and row.edges == pytest.approx((row.edges[0], row.edges[0]), abs=0.1)
    assert row.stability.static > 0.9 and abs(row.stability.flicker) < 0.5
    assert row.rate > 0 and row.cpu > 0 and row.peak > 50 and row.registered >= 5
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a-infrared.mp4", "a-mean.mp4"}
    table = render_rows(rows, 1.0).splitlines()
    assert len(table) == 5 and table[2].count("|") == table[4].count("|")
    assert table[4].startswith("| a | mean | 10 | ")


def test_without_clips(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="no MP4 files; give the folder that holds m3svd_video"):
        measure_clips(tmp_path, [], [EccRegistrar()], 1.0, tmp_path)
    done = run_script("benchmark.py", "video", "--methods", "magic", "--data", str(tmp_path), "-o", str(tmp_path))
    assert done.returncode == 2 and done.stderr.startswith("benchmark: fusion method: unknown 'magic'")


def test_frame_by_frame_is_the_pipeline_with_new_noise_each_time(weights: str) -> None:
    pipe = LDFusionPipeline.from_pretrained(weights)
    generator = torch.Generator().manual_seed(0)
    visible, infrared = torch.rand(1, 3, 48, 64, generator=generator), torch.rand(1, 1, 48, 64, generator=generator)
    method = FrameByFrame(pipe)
    fuser, pair = VideoFuser(method), FramePair(0.0, Frame(0.0, _codes(visible)), Frame(0.0, _codes(infrared)[..., 0]))
    first, second = fuser(pair), fuser(pair)
    assert not torch.equal(first.fused, second.fused)
    expected = pipe(second.visible, second.infrared, generator=torch.Generator().manual_seed(2)).fused
    torch.testing.assert_close(second.fused, expected)


def _codes(image: torch.Tensor) -> np.ndarray:
    return image[0].mul(255).round().byte().permute(1, 2, 0).numpy()

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from ldfusion.fusion.live import LiveFigures, fuse_live
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.video import FusedFrame, VideoFuser
from ldfusion.io.live import LiveSource
from ldfusion.io.video import Frame


def source(
    name: str, count: int, rate: float, channels: int, changed: threading.Condition, first: int = 0
) -> LiveSource:
    shape = (32, 40, 3) if channels == 3 else (32, 40)
    frames = [Frame(k / rate, np.full(shape, first + k, np.uint8)) for k in range(count)]
    return LiveSource(name, lambda: iter(frames), True, True, changed)


def test_the_newest_of_both_are_fused_and_what_comes_too_fast_is_dropped() -> None:
    changed, figures = threading.Condition(), LiveFigures()
    seen: list[tuple[int, int, float]] = []

    def slow(frame: FusedFrame) -> None:
        time.sleep(0.06)
        values = [round(255 * image.mean().item()) for image in (frame.visible, frame.infrared)]
        seen.append((values[0], values[1], frame.time))

    fuser = VideoFuser(load_method("mean"))
    with source("visible", 40, 50, 3, changed) as visible, source("infrared", 8, 10, 1, changed, 100) as infrared:
        fuse_live(visible, infrared, fuser, slow, changed, figures)
    assert figures.pictures == len(seen) < 30
    assert visible.dropped > 10 and visible.received == 40 and infrared.received == 8
    assert visible.dropped + figures.pictures >= 40 - 2
    for index in (0, 1, 2):
        assert [row[index] for row in seen] == sorted(row[index] for row in seen)
    assert seen[-1][0] == 39 and seen[-1][1] == 107  # the last frames are shown
    assert max(figures.latencies) < 1.0
    assert f"visible {visible.dropped} of 40" in figures.words(visible, infrared)


def test_a_source_that_is_over_is_represented_by_its_last_frame() -> None:
    changed, figures, seen = threading.Condition(), LiveFigures(), []

    def show(frame: FusedFrame) -> None:
        seen.append(round(255 * frame.infrared.mean().item()))

    fuser = VideoFuser(load_method("mean"))
    with source("visible", 20, 40, 3, changed) as visible, source("infrared", 2, 40, 1, changed, 50) as infrared:
        fuse_live(visible, infrared, fuser, show, changed, figures)
    assert seen[-1] == 51 and seen.count(51) >= 10


@pytest.mark.parametrize("missing", [0, 1])
def test_without_a_frame_of_one_there_is_no_picture_and_an_end(missing: int) -> None:
    changed, figures = threading.Condition(), LiveFigures()
    counts = [3, 3]
    counts[missing] = 0
    fuser = VideoFuser(load_method("mean"))
    with source("v", counts[0], 50, 3, changed) as visible, source("i", counts[1], 50, 1, changed) as infrared:
        fuse_live(visible, infrared, fuser, lambda frame: None, changed, figures)
    assert figures.pictures == 0


def test_it_ends_after_the_seconds_that_are_given_and_reports_on_the_way() -> None:
    changed, figures, told = threading.Condition(), LiveFigures(), []

    def endless() -> Iterator[Frame]:
        k = 0
        while True:
            yield Frame(k / 30, np.zeros((32, 40, 3), np.uint8))
            k += 1

    infrared = source("i", 1, 10, 1, changed)
    visible = LiveSource("v", endless, True, True, changed)
    fuser = VideoFuser(load_method("mean"))
    with visible, infrared:
        fuse_live(visible, infrared, fuser, lambda frame: None, changed, figures, 0.7, told.append, 0.2)
    assert 0.7 <= figures.seconds < 5 and len(told) >= 2

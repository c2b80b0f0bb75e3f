from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ldfusion.errors import InputError
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import PairedVideo

MakeVideo = Callable[..., Path]
Open = Callable[..., Any]


def levels(seconds: float, rate: int, start: float = 0.0, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    """Grey frames, the level telling the time: 50 a second, from 20 on."""
    times = start + np.arange(round(seconds * rate)) / rate
    return np.stack([np.full(size, 20 + 50 * time) for time in times]).round().astype(np.uint8)


@pytest.fixture
def paired(tmp_path: Path, make_video: MakeVideo) -> Open:
    """Opens two videos that show the time: ``paired((seconds, rate, start), (seconds, rate, start), offset)``."""

    @contextmanager
    def opened(visible: tuple, infrared: tuple, offset: float = 0.0, **options: Any) -> Iterator[PairedVideo]:
        files = []
        for name, (seconds, rate, start) in (("visible", visible), ("infrared", infrared)):
            frames = levels(seconds, rate, start)
            grey = name == "infrared"
            frames = frames if grey else frames[..., None].repeat(3, -1)
            files.append(make_video(tmp_path / f"{name}.mp4", frames, rate=rate, start=start, **options))
        with VideoReader(files[0]) as first, VideoReader(files[1], "infrared") as second:
            yield PairedVideo(first, second, offset)

    return opened


def seen(pair: Any) -> tuple[float, float]:
    """The times that both pictures show."""
    return tuple((float(np.median(x.pixels)) - 20) / 50 for x in (pair.visible, pair.infrared))  # type: ignore[return-value]


def test_equal_clips_go_frame_by_frame_without_a_note(paired: Open) -> None:
    with paired((2.0, 10, 0.0), (2.0, 10, 0.0)) as both:
        found = list(both.pairs())
        assert both.expected() == len(found) == 20
        assert both.notes() == [] and both.closing_notes() == []
    assert [pair.time for pair in found] == pytest.approx(np.arange(20) / 10, abs=2e-3)
    for pair in found:
        assert seen(pair) == pytest.approx((pair.time, pair.time), abs=0.05)


@pytest.mark.parametrize(("rate", "other"), [(10, 25), (25, 10), (30, 9)])
def test_unequal_rates_are_matched_by_time(paired: Open, rate: int, other: int) -> None:
    with paired((2.0, rate, 0.0), (2.0, other, 0.0)) as both:
        found = list(both.pairs())
        assert len(found) == 2 * rate
        (note,) = both.notes()
        assert f"{rate} frames/s" in note and "nearest in time" in note
        assert both.closing_notes() == []
    for pair in found[:-2]:  # after its last frame the slower video stands still
        assert abs(pair.visible.time - pair.infrared.time) <= 0.5 / other + 2e-3
        assert seen(pair) == pytest.approx((pair.visible.time, pair.infrared.time), abs=0.05)


def test_only_the_time_that_both_show_is_used(paired: Open) -> None:
    with paired((2.0, 10, 0.0), (2.0, 10, 0.8)) as both:
        (note,) = both.notes()
        assert "begins 0.80 s after" in note
        found = list(both.pairs())
        assert len(found) == both.expected() == 12
        assert both.left_out == 8
        assert any("8 visible frames had no infrared" in line for line in both.closing_notes())
        assert any("ends 0.80 s before" in line for line in both.closing_notes())
    assert found[0].time == 0 and seen(found[0]) == pytest.approx((0.8, 0.8), abs=0.05)


def test_the_shorter_one_ends_it(paired: Open) -> None:
    with paired((3.0, 10, 0.0), (1.0, 10, 0.0)) as both:
        assert len(list(both.pairs())) == 10
        (line,) = both.closing_notes()
        assert "infrared.mp4 ends 2.00 s before" in line and "stopped there" in line
    with paired((1.0, 10, 0.0), (3.0, 10, 0.0)) as both:
        assert len(list(both.pairs())) == 10
        (line,) = both.closing_notes()
        assert "visible.mp4 ends 2.00 s before" in line


def test_an_offset_shifts_the_infrared_clock(paired: Open) -> None:
    with paired((2.0, 10, 0.0), (2.0, 10, 0.0), 0.5) as both:
        for pair in both.pairs():
            visible, infrared = seen(pair)
            assert infrared - visible == pytest.approx(0.5, abs=0.06)
        assert pair.visible.time == pytest.approx(1.5, abs=0.11)


def test_a_span_of_both(paired: Open) -> None:
    with paired((4.0, 10, 0.0), (4.0, 20, 0.0)) as both:
        found = list(both.pairs(1.5, 1.0))
        assert len(found) == both.expected(1.5, 1.0) == 10
        assert both.closing_notes() == []
    assert found[0].time == 0 and seen(found[0]) == pytest.approx((1.5, 1.5), abs=0.05)


def test_sound_is_noted(paired: Open) -> None:
    with paired((1.0, 10, 0.0), (1.0, 10, 0.0), audio=True) as both:
        assert [line.partition(" of ")[0] for line in both.notes()] == ["the sound", "the sound"]
        assert len(list(both.pairs())) == 10


def test_no_time_in_common(paired: Open) -> None:
    with paired((1.0, 10, 0.0), (1.0, 10, 5.0)) as both:
        with pytest.raises(InputError, match=r"no moment is in both videos .* give another offset or start"):
            list(both.pairs())
        with pytest.raises(InputError, match=r"is 1\.00 s long; a start of 30 s is past its end"):
            list(both.pairs(30.0))
        assert both.expected() == 0

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ldfusion.errors import InputError, WorkError
from ldfusion.io.video import VideoReader
from ldfusion.io.video_writer import VideoWriter


def blocks(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)), np.ones((8, 8, 1)))
    return base[:height, :width].astype(np.uint8)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.mp4"
    picture = blocks(48, 64)
    with VideoWriter(path, Fraction(30_000, 1001)) as writer:
        for k in range(9):
            writer.write(picture, k * 1001 / 30_000)
        assert not path.exists() and writer.frames == 9
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    with VideoReader(path) as reader:
        assert reader.info.rate == Fraction(30_000, 1001)
        frames = list(reader.frames())
    assert [frame.time for frame in frames] == pytest.approx(np.arange(9) * 1001 / 30_000, abs=2e-5)
    # inside the blocks, where neighbouring pixels do not share their colour
    assert np.abs(frames[4].pixels.astype(int) - picture)[4::8, 4::8].mean() < 4


def test_grey_keeps_its_levels(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    with VideoWriter(tmp_path / "ramp.mp4", Fraction(10)) as writer:
        writer.write(ramp, 0.0)
    with VideoReader(tmp_path / "ramp.mp4", "infrared") as reader:
        assert np.abs(next(reader.frames()).pixels.astype(int) - ramp[..., 0]).max() <= 3


def test_odd_sides_get_one_more_line(tmp_path: Path) -> None:
    picture = blocks(47, 65)
    with VideoWriter(tmp_path / "odd.mp4", Fraction(10)) as writer:
        writer.write(picture, 0.0)
    with VideoReader(tmp_path / "odd.mp4") as reader:
        pixels = next(reader.frames()).pixels.astype(int)
    assert pixels.shape == (48, 66, 3)
    assert np.abs(pixels[:47, :65] - picture)[4::8, 4::8].mean() < 4


def test_uneven_times_are_kept_and_falling_ones_moved_on(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mkv", Fraction(10)) as writer:
        for time in (0.0, 0.1, 0.35, 0.35, 0.9):
            writer.write(blocks(48, 64), time)
    with VideoReader(tmp_path / "a.mkv") as reader:
        times = [frame.time for frame in reader.frames()]
    assert len(times) == 5 and (np.diff(times) > 0).all()
    assert times == pytest.approx([0.0, 0.1, 0.35, 0.35, 0.9], abs=0.11)


def test_interrupted_it_keeps_a_video_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, Fraction(10)) as writer:
        for k in range(100):
            if k == 7:
                raise KeyboardInterrupt
            writer.write(blocks(48, 64), k / 10)
    with VideoReader(path) as reader:
        assert len(list(reader.frames())) == 7
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_failure_leaves_nothing_and_keeps_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(ValueError, match="broken"), VideoWriter(path, Fraction(10)) as writer:
        writer.write(blocks(48, 64), 0.0)
        raise ValueError("broken")
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, Fraction(10)):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"older"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_a_full_disk_is_one_line(tmp_path: Path, small_files: Callable[[], AbstractContextManager[int]]) -> None:
    rng = np.random.default_rng(0)
    with small_files(), pytest.raises(WorkError, match=r"cannot write .*a\.mp4: "):
        with VideoWriter(tmp_path / "a.mp4", Fraction(10)) as writer:
            for k in range(300):
                writer.write(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), k / 10)
    assert list(tmp_path.iterdir()) == []


def test_places_and_names_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written as \.mp4, \.mov, \.mkv"):
        VideoWriter(tmp_path / "a.gif", Fraction(10))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkError, match="cannot write"):
        VideoWriter(tmp_path / "file" / "a.mp4", Fraction(10))

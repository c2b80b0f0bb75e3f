from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.io import palette, video
from ldfusion.io.thermal import ThermalOptions
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import PairedVideo

MakeVideo = Callable[..., Path]


def blocks(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames of 8 x 8 blocks of colour, (N, H, W, 3), each frame another grey level brighter."""
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(30, 160, (height // 8, width // 8, 3)), np.ones((8, 8, 1)))
    return np.stack([base + 4 * k for k in range(count)]).astype(np.uint8)


def test_frames_with_their_times_and_colours(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = blocks(12)
    with VideoReader(make_video(tmp_path / "a.mp4", frames)) as reader:
        info = reader.info
        assert (info.size, float(info.rate), info.start, info.is_grey) == ((48, 64), 10.0, 0.0, False)
        assert info.duration == pytest.approx(1.2, abs=0.01) and not info.has_audio
        read = list(reader.frames())
    assert [frame.time for frame in read] == pytest.approx(np.arange(12) / 10, abs=1e-3)
    for frame, expected in zip(read, frames, strict=True):
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels[4::8, 4::8].astype(int) - expected[4::8, 4::8]).mean() < 4
    tensor = read[0].tensor()
    assert tensor.shape == (1, 3, 48, 64) and tensor[0, 0, 5, 6].item() == pytest.approx(read[0].pixels[5, 6, 0] / 255)


def test_a_span_is_cut_out_and_reading_starts_anew(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = blocks(30)
    with VideoReader(make_video(tmp_path / "a.mp4", frames)) as reader:
        whole = list(reader.frames())
        late = list(reader.frames(2.55))
        assert [frame.time for frame in late] == pytest.approx([2.6, 2.7, 2.8, 2.9], abs=1e-3)
        assert np.array_equal(late[0].pixels, whole[26].pixels)
        part = list(reader.frames(1.3, 1.8))  # begins between key frames
        assert [frame.time for frame in part] == pytest.approx([1.3, 1.4, 1.5, 1.6, 1.7], abs=1e-3)
        for frame, again in zip(part, whole[13:18], strict=True):
            assert np.array_equal(frame.pixels, again.pixels)
        assert len(list(reader.frames())) == 30
        assert list(reader.frames(5.0)) == []


def test_times_are_those_of_the_file(tmp_path: Path, make_video: MakeVideo) -> None:
    for suffix, start in ((".mp4", 2.5), (".mkv", 2.5), (".ts", 3.0)):
        with VideoReader(make_video(tmp_path / f"late{suffix}", blocks(5), start=start)) as reader:
            times = [frame.time for frame in reader.frames()]
            assert np.diff(times) == pytest.approx(0.1, abs=2e-3)
            # the transport stream container adds its own lead
            assert times[0] == pytest.approx(start, abs=1.5 if suffix == ".ts" else 2e-3)
            assert reader.info.start == times[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov"])
def test_a_late_start_is_counted_once(suffix: str, tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / f"late{suffix}", np.zeros((20, 32, 32, 3), np.uint8), rate=10, start=3.0)
    with VideoReader(path) as reader, VideoReader(path, "infrared") as other:
        assert reader.info.start == pytest.approx(3.0) and reader.info.duration == pytest.approx(2.0)
        both = PairedVideo(reader, other)
        assert both.expected() == 20 and len(list(both.pairs())) == 20 and both.closing_notes() == []


def test_a_transport_stream_that_was_cut_out_of_a_longer_one(tmp_path: Path, make_video: MakeVideo) -> None:
    rng = np.random.default_rng(0)
    path = make_video(tmp_path / "a.ts", rng.integers(0, 256, (60, 48, 64, 3), dtype=np.uint8), rate=10)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 3 + 17 : 5 * len(data) // 6])
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader.frames()]
        assert len(times) >= 20 and np.allclose(np.diff(times), 0.1)
        later = [frame.time for frame in reader.frames(reader.info.start + 2.0)]
        assert later[0] == pytest.approx(reader.info.start + 2.0)


def test_a_rotated_video_comes_upright(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = blocks(3)
    for turns in (1, 2, 3):
        path = make_video(tmp_path / f"{turns}.mp4", frames, rotation=90 * turns)
        with VideoReader(path) as reader:
            frame = next(reader.frames())
        expected = np.rot90(frames[0], turns)
        assert frame.pixels.shape == expected.shape == (*reader.info.size, 3)
        assert np.abs(frame.pixels.astype(int) - expected)[4::8, 4::8].mean() < 4


def test_infrared_has_one_channel_of_the_same_values(tmp_path: Path, make_video: MakeVideo) -> None:
    grey = blocks(3)[..., 0]
    for name, options in (("h264", {}), ("raw", {"codec": "ffv1", "pixels": "gray"})):
        with VideoReader(make_video(tmp_path / f"{name}.mkv", grey, **options), "infrared") as reader:
            frame = next(reader.frames())
        assert frame.pixels.shape == (48, 64) and frame.tensor().shape == (1, 1, 48, 64)
        assert np.abs(frame.pixels.astype(int) - grey[0])[4::8, 4::8].max() <= (3 if name == "h264" else 0)


def test_thermal_counts_get_one_gain_for_all_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    counts = np.stack([np.linspace(7000, 8000, 48 * 64).reshape(48, 64) + 100 * k for k in range(3)]).astype(np.uint16)
    path = make_video(tmp_path / "counts.mkv", counts, codec="ffv1", pixels="gray16le")
    with VideoReader(path, "infrared") as reader:
        frames = [frame.pixels.astype(float) for frame in reader.frames()]
    low, high = np.percentile(counts[0], [0.5, 99.5])
    for frame, values in zip(frames, counts, strict=True):
        np.testing.assert_allclose(frame, np.clip((values - low) / (high - low), 0, 1) * 255, atol=0.51)
    with VideoReader(path, "infrared", options=ThermalOptions(limits=(6000, 9000))) as reader:
        frame = next(reader.frames()).pixels
    np.testing.assert_allclose(frame, (counts[0] - 6000.0) / 3000 * 255, atol=0.51)


def test_a_range_and_a_unit(tmp_path: Path, make_video: MakeVideo) -> None:
    counts = np.full((3, 32, 32), 29315, np.uint16)  # 20 degrees C in kelvin x 100
    deep = make_video(tmp_path / "deep.mkv", counts, codec="ffv1", pixels="gray16le")
    eight = make_video(tmp_path / "eight.mkv", np.full((3, 32, 32), 80, np.uint8), codec="ffv1", pixels="gray")
    for path, unit, limits, level in (
        (deep, "auto", (0.0, 40.0), 128),
        (deep, "kelvin-100", (0.0, 80.0), 64),
        (deep, "counts", (0.0, 58630.0), 128),
        (eight, "auto", (0.0, 160.0), 128),
    ):
        with VideoReader(path, "infrared", ThermalOptions(unit, limits)) as reader:
            assert [int(frame.pixels[0, 0]) for frame in reader.frames()] == [pytest.approx(level, abs=1)] * 3


def test_remarks_on_what_the_video_holds(
    tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    for module in (video, palette):
        monkeypatch.setattr(module, "notice", told.append)
    colour, grey = blocks(2), blocks(2)[..., 0]
    with VideoReader(make_video(tmp_path / "map.mp4", colour), "infrared") as reader:
        luma = colour[0] @ np.array([0.299, 0.587, 0.114])
        assert np.abs(next(reader.frames()).pixels - luma)[4::8, 4::8].mean() < 4
    with VideoReader(make_video(tmp_path / "plain.mp4", grey), "infrared"):
        assert len(told) == 1 and "map.mp4 is colour-mapped" in told[0]
    with VideoReader(make_video(tmp_path / "grey.mkv", grey, codec="ffv1", pixels="gray")) as reader:
        assert next(reader.frames()).pixels.shape == (48, 64, 3)
    assert len(told) == 2 and "grey.mkv has no colour" in told[1]


def test_damage_costs_frames_and_is_counted(tmp_path: Path, make_video: MakeVideo) -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    whole = make_video(tmp_path / "whole.mp4", noise).read_bytes()
    damaged = bytearray(whole)
    start = len(whole) // 2
    damaged[start : start + 6000] = rng.integers(0, 256, 6000, dtype=np.uint8).tobytes()
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    with VideoReader(tmp_path / "damaged.mp4") as reader:
        times = [frame.time for frame in reader.frames()]
    assert reader.damaged > 0
    assert 20 <= len(times) < 40 and (np.diff(times) > 0).all()


def test_a_file_cut_short_gives_what_is_left(tmp_path: Path, make_video: MakeVideo) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    whole = make_video(tmp_path / "whole.mkv", noise).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    with VideoReader(tmp_path / "cut.mkv") as reader:
        assert 10 <= len(list(reader.frames())) <= 25


def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, make_video: MakeVideo) -> None:
    import av

    good = make_video(tmp_path / "good.mp4", blocks(8)).read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is no video, only some words\n" * 20)
    (tmp_path / "notes.txt").write_text("this is no video, only some words\n" * 20)
    (tmp_path / "head.mp4").write_bytes(good[: len(good) // 2])  # the index at the end is missing
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.mp4", format="JPEG")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with av.open(str(tmp_path / "nothing.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    make_video(tmp_path / "small.mp4", blocks(2, 24, 64))
    cases = {
        "missing.mp4": "no such file",
        ".": "is a folder; give a video file",
        "empty.mp4": "is empty (0 bytes)",
        "text.mp4": "is not a video",
        "notes.txt": "is not a video",
        "head.mp4": "is not a video that can be read",
        "picture.png": "is not a video (png_pipe)",
        "picture.mp4": "is not a video",
        "list.m3u8": "is not a video that can be read",
        "sound.mp4": "has no video stream (audio only)",
        "nothing.avi": "not one frame",
        "small.mp4": "at least 32 a side are needed",
    }
    for name, part in cases.items():
        with pytest.raises(InputError) as error:
            VideoReader(tmp_path / name)
        line = str(error.value)
        assert part in line and str(tmp_path) in line and "\n" not in line

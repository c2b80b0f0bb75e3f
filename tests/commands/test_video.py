from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import pytest

from ldfusion.cli import main
from ldfusion.io.lock import file_lock
from ldfusion.io.video import VideoReader
from ldfusion.io.video_writer import VideoWriter

MakeVideo = Callable[..., Path]


def blocks(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(30, 160, (height // 8, width // 8, 3)), np.ones((8, 8, 1)))
    return np.stack([base + 2 * (k % 40) for k in range(count)]).astype(np.uint8)


@pytest.fixture
def clip(tmp_path: Path, make_video: MakeVideo) -> Path:
    """Folder of ``v.mp4`` and ``i.mp4``: 2 s of 64x48 pixels, 10 frames/s."""
    make_video(tmp_path / "v.mp4", blocks(20))
    make_video(tmp_path / "i.mp4", 255 - blocks(20)[..., 0])
    return tmp_path


def words(clip: Path, *more: str, method: str = "mean") -> list[str]:
    files = [str(clip / name) for name in ("v.mp4", "i.mp4")]
    return ["video", *files, "-o", str(clip / "out.mp4"), "--method", method, "--device", "cpu", *more]


def frames(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as reader:
        return [frame.pixels for frame in reader.frames()]


def report(clip: Path) -> dict:
    found: dict = json.loads((clip / "out.mp4.json").read_text())
    return found


def test_two_videos_become_one(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(clip)) == 0
    out, err = capsys.readouterr()
    (last,) = err.splitlines()
    assert out == "" and last.startswith("ldfusion: 20 frames in ") and last.endswith(f"result in {clip / 'out.mp4'}")
    fused = frames(clip / "out.mp4")
    visible, infrared = frames(clip / "v.mp4"), frames(clip / "i.mp4")
    assert len(fused) == 20
    for one, other, result in zip(visible, infrared, fused, strict=True):
        luma = [picture[4::8, 4::8] @ (0.299, 0.587, 0.114) for picture in (one, other, result)]
        assert np.abs(luma[2] - (luma[0] + luma[1]) / 2).mean() < 3
    assert report(clip) == {
        "visible": str(clip / "v.mp4"),
        "infrared": str(clip / "i.mp4"),
        "method": "mean",
        "frames": 20,
        "start": 0.0,
        "offset": 0.0,
        "interrupted": False,
        "notes": [],
    }


def test_the_brighter_of_both_videos(clip: Path) -> None:
    assert main(words(clip, method="maximum")) == 0
    visible, infrared, fused = (frames(clip / name) for name in ("v.mp4", "i.mp4", "out.mp4"))
    for one, other, result in zip(visible, infrared, fused, strict=True):
        luma = [picture[4::8, 4::8] @ (0.299, 0.587, 0.114) for picture in (one, other, result)]
        assert np.abs(luma[2] - np.maximum(luma[0], luma[1])).mean() < 3


def test_a_span_side_by_side(clip: Path) -> None:
    assert main(words(clip, "--start", "0.5", "--seconds", "0.8", "--side-by-side")) == 0
    fused = frames(clip / "out.mp4")
    assert len(fused) == 8 and fused[0].shape == (48, 192, 3)
    visible = frames(clip / "v.mp4")[5]
    assert np.abs(fused[0][4::8, 4:64:8].astype(int) - visible[4::8, 4::8]).mean() < 5


def test_the_pipeline_holds_one_sentence(clip: Path, weights: str) -> None:
    assert main(words(clip, "--weights", weights, "--seconds", "0.5", method="ldfusion")) == 0
    assert [entry["time"] for entry in report(clip)["sentences"]] == [0.0]
    assert len(frames(clip / "out.mp4")) == 5
    more = ["--weights", weights, "--seconds", "0.3", "--prompt", "a person near a street", "--overwrite"]
    assert main(words(clip, *more, method="ldfusion")) == 0
    assert report(clip)["sentences"] == [{"time": 0.0, "sentence": "a person near a street"}]


def test_a_result_is_kept_until_overwritten(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clip / "out.mp4").write_bytes(b"somebody's own video")
    assert main(words(clip)) == 0
    assert "is kept from before (--overwrite makes it anew)" in capsys.readouterr().err
    assert (clip / "out.mp4").read_bytes() == b"somebody's own video"
    assert main(words(clip, "--overwrite")) == 0
    assert len(frames(clip / "out.mp4")) == 20


def test_folders_of_numbered_frames(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, images in (("v", blocks(6)), ("i", blocks(6)[..., 0])):
        (clip / name).mkdir()
        for number, image in enumerate(images):
            cv2.imwrite(str(clip / name / f"frame{number:03d}.png"), image[..., ::-1] if image.ndim == 3 else image)
    folders = ["video", str(clip / "v"), str(clip / "i"), "-o", str(clip / "out.mp4"), "--method", "mean"]
    assert main([*folders, "--device", "cpu", "--rate", "5", "--range", "0", "510"]) == 0
    with VideoReader(clip / "out.mp4") as reader:
        assert float(reader.info.rate) == 5 and reader.info.duration == pytest.approx(1.2)
        fused = [frame.pixels.astype(float) for frame in reader.frames()]
    # the infrared is half as bright by the range
    wanted = (blocks(6) + blocks(6)[..., :1] / 2) / 2
    assert len(fused) == 6
    assert [frame.mean() for frame in fused] == [pytest.approx(frame.mean(), abs=2) for frame in wanted]
    assert main(words(clip, "--rate", "5")) == 2
    assert "--rate is for folders of numbered frames" in capsys.readouterr().err


def test_one_run_makes_a_video_at_a_time(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file_lock(clip / "out.mp4"):
        assert main(words(clip)) == 1
        assert f"error: {clip / 'out.mp4'} is in use by another run" in capsys.readouterr().err
        assert main([*words(clip)[:4], str(clip / "other.mp4"), *words(clip)[5:]]) == 0
    (clip / ".out.partial.mp4").write_bytes(b"of a killed run")
    assert main(words(clip)) == 0
    assert sorted(file.name for file in clip.glob(".*")) == []


def test_what_is_unequal_is_told_and_matched(
    clip: Path, make_video: MakeVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(clip / "i.mp4", 255 - blocks(20, 96, 128)[..., 0], rate=25, audio=True)
    assert main(words(clip)) == 0
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 4
    assert "10 frames/s" in err[0] and "25" in err[0] and "nearest in time" in err[0]
    assert "the sound of" in err[1]
    assert "i.mp4 ends 1.20 s before" in err[2]
    assert len(frames(clip / "out.mp4")) == 8
    assert report(clip)["notes"] == [line.removeprefix("ldfusion: ") for line in err[:3]]


def test_damage_is_passed_over_and_counted(
    clip: Path, make_video: MakeVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    whole = make_video(clip / "v.mp4", rng.integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 5000] = rng.integers(0, 256, 5000, dtype=np.uint8).tobytes()
    (clip / "v.mp4").write_bytes(damaged)
    assert main(words(clip)) == 0
    assert "damaged packets or frames were passed over" in capsys.readouterr().err
    assert 8 <= len(frames(clip / "out.mp4")) < 20


def test_bad_input_is_one_line_and_leaves_nothing(
    clip: Path, make_video: MakeVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    (clip / "text.mp4").write_text("no video")
    (clip / "empty.mp4").write_bytes(b"")
    make_video(clip / "late.mp4", blocks(5)[..., 0], start=9.0)
    out = str(clip / "out.mp4")
    v, i = str(clip / "v.mp4"), str(clip / "i.mp4")
    cases = [
        ([v, str(clip / "gone.mp4"), "-o", out], "gone.mp4: no such file"),
        ([v, str(clip / "text.mp4"), "-o", out], "text.mp4 is not a video"),
        ([str(clip / "empty.mp4"), i, "-o", out], "empty.mp4 is empty"),
        ([str(clip), i, "-o", out], "give a video, or a folder of numbered frames"),
        ([v, str(clip / "late.mp4"), "-o", out], "no moment is in both videos"),
        ([v, i, "-o", out, "--start", "50"], "is past its end"),
        ([v, i, "-o", out, "--offset", "70"], "no moment is in both videos"),
        ([v, i, "-o", str(clip / "out.gif")], "ending in .mp4, .mov, .mkv"),
        ([v, i, "-o", v, "--overwrite"], "is one of the sources"),
        ([v, i, "-o", f"{v}/below.mp4"], "is a file; give a folder"),
        ([v, i, "-o", out, "--alpha", "0.3"], "--alpha is for the methods"),
        ([v, i, "-o", out, "--prompt", "people"], "--prompt is for the methods ldfusion, realtime and realtime-tiny"),
    ]
    before = sorted(clip.iterdir())
    for given, part in cases:
        assert main(["video", *given, "--method", "mean"]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert part in lines[-1] and lines[-1].startswith("ldfusion: error: ")
        assert len(lines) <= 2  # at most a note on unequal beginnings before it
        assert sorted(clip.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "part"),
    [(["--start", "-1"], "from 0 up"), (["--seconds", "0"], "more than 0"), (["--seconds", "x"], "'x'")],
)
def test_times_that_are_none(clip: Path, more: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words(clip, *more))
    assert stop.value.code == 2 and part in capsys.readouterr().err


def test_a_full_disk_stops_with_one_line(
    clip: Path, small_files: Callable[[], AbstractContextManager[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    with small_files():
        assert main(words(clip)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ldfusion: error: cannot write {clip / 'out.mp4'}: ")
    assert sorted(path.name for path in clip.iterdir()) == ["i.mp4", "v.mp4"]


def test_interrupted_it_leaves_a_video_that_plays(
    clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = VideoWriter.write

    def write_and_interrupt(self: VideoWriter, pixels: np.ndarray, time: float) -> None:
        write(self, pixels, time)
        if self.frames == 7:
            signal.raise_signal(signal.SIGINT)  # ctrl-C

    monkeypatch.setattr(VideoWriter, "write", write_and_interrupt)
    # a shell starts what runs in the background with ctrl-C ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(words(clip)) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted after" in capsys.readouterr().err.splitlines()[-1]
    count = len(frames(clip / "out.mp4"))
    assert 0 < count < 20 and report(clip)["frames"] == count and report(clip)["interrupted"]
    assert not list(clip.glob(".*"))


def test_memory_does_not_grow_with_the_length(clip: Path, make_video: MakeVideo) -> None:
    """Peak memory after a video of 30 frames and after one of 400, in one process."""
    for name, count in (("short", 30), ("long", 400)):
        for side in "vi":
            make_video(clip / f"{name}-{side}.mp4", blocks(40, 96, 128)[np.arange(count) % 40])
    code = """
import resource, sys
from ldfusion.cli import main
for name in ("short", "long"):
    files = [f"{sys.argv[1]}/{name}-{side}.mp4" for side in "vi"]
    assert main(["video", *files, "-o", f"{sys.argv[1]}/{name}.mp4", "--method", "mean"]) == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code, str(clip)], check=True, capture_output=True, text=True)
    short, long = (int(line) / 1024 for line in done.stdout.split())
    # one float32 copy of the frames that the long one has more would be 54 MB
    assert long - short < 20


def boxes(levels: int, moved: bool) -> np.ndarray:
    """A drawing of 192x256 pixels; ``levels`` draws the grey values, ``moved`` shows it as a shifted camera does."""
    shapes, values = np.random.default_rng(0), np.random.default_rng(levels)
    picture = np.full((192, 256), 80, np.uint8)
    for _ in range(70):
        place, size, angle = shapes.integers(0, [256, 192]), shapes.uniform(8, 60, 2), shapes.uniform(0, 90)
        corners = cv2.boxPoints(([float(v) for v in place], [float(v) for v in size], float(angle)))
        cv2.fillPoly(picture, [np.asarray(corners).astype(np.int32)], int(values.integers(20, 230)))
    picture = cv2.GaussianBlur(picture, (0, 0), 1.0)
    return cv2.warpPerspective(picture, np.linalg.inv(TRUTH), (256, 192)) if moved else picture


TRUTH = np.array([[0.9, 0, 25.0], [0, 0.9, 4.0], [0, 0, 1]])
"""Infrared -> visible pixels."""


def test_registered_videos(clip: Path, make_video: MakeVideo, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(clip / "v.mp4", np.stack([boxes(1, False)[..., None].repeat(3, -1)] * 10))
    make_video(clip / "i.mp4", np.stack([boxes(2, True)] * 10))
    assert main(words(clip, "--register", "--side-by-side")) == 0
    assert "registering 5 frames" in capsys.readouterr().err
    first, *later = report(clip)["registration"]
    assert first["trusted"] and first["outcome"] == "used" and all(entry["outcome"] == "used" for entry in later)
    matrix = np.array(later[-1]["matrix"])
    for x, y in ((0, 0), (255, 0), (255, 191), (0, 191)):
        place, truth = (m @ (x, y, 1) for m in (matrix, TRUTH))
        assert np.hypot(*(place[:2] / place[2] - truth[:2])) < 2
    shown = frames(clip / "out.mp4")[5][:, 256:512, 0].astype(float)
    expected = boxes(2, False).astype(float)
    inner = (slice(20, 170), slice(40, 220))
    assert np.abs(shown - expected)[inner].mean() < 5
    assert np.abs(boxes(2, True).astype(float) - expected)[inner].mean() > 20


def test_videos_that_cannot_be_registered_are_told(
    clip: Path, make_video: MakeVideo, capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(clip / "v.mp4", boxes(1, False)[None, ..., None].repeat(3, -1))
    make_video(clip / "i.mp4", np.full((1, 96, 128), 90, np.uint8))
    assert main(words(clip, "--register")) == 1
    error = next(line for line in capsys.readouterr().err.splitlines() if "error" in line)
    assert "could not be registered" in error and "it was only resized" in error
    assert len(frames(clip / "out.mp4")) == 1

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ldfusion.cli import main
from ldfusion.io.video import VideoReader


@pytest.fixture
def clip(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """Folder of ``v.mp4`` and ``i.mp4``: 1 s of 64x48 pixels, 10 frames/s."""
    grey = np.stack([np.full((48, 64), 20 * k, np.uint8) for k in range(10)])
    make_video(tmp_path / "v.mp4", np.repeat(grey[..., None], 3, axis=-1))
    make_video(tmp_path / "i.mp4", grey)
    return tmp_path


def words(clip: Path, *more: str) -> list[str]:
    return ["live", str(clip / "v.mp4"), str(clip / "i.mp4"), "--method", "mean", "--device", "cpu", *more]


def test_two_files_are_played_and_written(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(clip, "-o", str(clip / "out.mp4"))) == 0
    (line,) = capsys.readouterr().out.splitlines()
    count = int(line.split()[0])
    assert 10 <= count <= 20 and "latency" in line and f"{clip / 'v.mp4'} 0 of 10" in line
    with VideoReader(clip / "out.mp4") as reader:
        frames = list(reader.frames())
    assert len(frames) == count and 0.6 < frames[-1].time - frames[0].time < 3
    assert abs(int(frames[-1].pixels.mean()) - 180) < 12


def test_it_ends_after_the_given_seconds_and_keeps_what_is_there(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(clip, "--loop", "--seconds", "1.6", "--show")) == 0
    out, err = capsys.readouterr()
    assert int(out.split()[0]) > 10 and "pictures at http://127.0.0.1:" in err
    (clip / "out.mp4").write_text("mine")
    assert main(words(clip, "-o", str(clip / "out.mp4"))) == 2
    assert "it is there already" in capsys.readouterr().err and (clip / "out.mp4").read_text() == "mine"
    assert main(["live", str(clip / "none.mp4"), str(clip / "i.mp4")]) == 2
    assert "no such file; give a video" in capsys.readouterr().err


def test_methods_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "speed.json"
    measure = ["benchmark", "--size", "64x48", "--methods", "mean", "maximum", "--rounds", "2", "--threads", "1"]
    assert main([*measure, "--no-memory", "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["mean", "maximum"]
    assert [row["method"] for row in json.loads(file.read_text())["rows"]] == ["mean", "maximum"]
    assert main([*measure, "--plot", str(tmp_path / "p.svg")]) == 2
    assert "--plot needs --quality" in capsys.readouterr().err

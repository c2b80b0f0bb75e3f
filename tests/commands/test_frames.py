from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ldfusion.cli import main
from ldfusion.config import DataConfig
from ldfusion.data import frame_folder
from ldfusion.data.pairs import build_dataset
from ldfusion.io.lock import folder_lock

MakeVideo = Callable[..., Path]
COUNT = 24


def frames(count: int, dark: tuple[int, ...] = (), shift: int = 0) -> np.ndarray:
    """Grey frames (count, 64, 80), each with a bright bar whose position tells its number, some of them black."""
    video = np.full((count, 64, 80), 70, np.uint8)
    for k in range(count):
        video[k, :, shift + 2 * k : shift + 2 * k + 12] = 220
        if k in dark:
            video[k] = 4
    return video


def visible_of(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=3)


@pytest.fixture
def videos(make_video: MakeVideo, tmp_path: Path) -> tuple[Path, Path]:
    visible = make_video(tmp_path / "walk.mp4", visible_of(frames(COUNT, dark=(3, 4))), 10)
    infrared = make_video(tmp_path / "walk_ir.mp4", frames(2 * COUNT, dark=(20,)), 20)  # twice as many
    return visible, infrared


def run(videos: tuple[Path, Path], output: Path, *words: str) -> int:
    return main(["frames", *map(str, videos), "-o", str(output), "--size", "64x48", *words])


def manifest(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_frames_in_step_dark_ones_left_out_and_read_by_the_data_set(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert run(videos, out, "--split", "0.6/0.2/0.2") == 0
    lines = manifest(out)
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert [line["index"] for line in lines if line["reason"] == "visible dark"] == [3, 4]
    assert [line["index"] for line in lines if line["reason"] == "infrared dark"] == [10]
    assert all(abs(line["visible_time"] - line["infrared_time"]) < 0.03 for line in lines)
    kept = {line["name"]: line["split"] for line in lines if line["kept"]}
    assert len(kept) == 21 and list(kept.values()).count("train") == 13
    for folder in ("visible", "infrared"):
        assert {f.stem for f in (out / folder).iterdir()} == set(kept)
        assert all(cv2.imread(str(f)).shape[:2] == (48, 64) for f in (out / folder).iterdir())
    # the infrared frame of pair k is number 2k of its video: its bar stands 2 * 2k pixels from the left, of 80
    picture = cv2.imread(str(out / "infrared" / "walk_000008.png"), cv2.IMREAD_GRAYSCALE)
    assert abs(np.flatnonzero(picture[24] > 150).mean() - (32 + 5.5) * 64 / 80) < 1.5
    data = DataConfig(str(out), datasets=["folder"], val_datasets=["folder"], crop=[32, 32], captions="")
    train, val = build_dataset(data, 0, True), build_dataset(data, 0, False)
    assert (len(train), len(val)) == (13, 4)
    assert train[0]["visible"].shape == (3, 32, 32) and train[0]["infrared"].shape == (1, 32, 32)
    assert "21 of 24 pairs kept (13 train, 4 val, 4 test); left out: 1 infrared dark, 2 visible dark" in (
        capsys.readouterr().err
    )


def test_a_complete_set_is_kept_and_other_rules_are_refused(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert run(videos, out, "--every", "4") == 0
    before = contents(out)
    assert run(videos, out, "--every", "4") == 0
    assert contents(out) == before and "is complete from before" in capsys.readouterr().err
    assert run(videos, out, "--every", "5") == 2
    assert "made with other rules; use --overwrite" in capsys.readouterr().err
    assert run(videos, out, "--every", "5", "--overwrite") == 0
    names = {line["name"] for line in manifest(out) if line["kept"]}
    assert {f.stem for f in (out / "visible").iterdir()} == names == {f"walk_{k:06d}" for k in (0, 5, 15, 20)}


def test_folders_of_numbered_frames(tmp_path: Path) -> None:
    for name, images in (("v", visible_of(frames(6))), ("i", frames(6))):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), image)
    assert run((tmp_path / "v", tmp_path / "i"), tmp_path / "set", "--rate", "5") == 0
    lines = manifest(tmp_path / "set")
    assert [line["name"] for line in lines] == [f"v_{k:06d}" for k in range(6)]
    assert [line["infrared_time"] for line in lines] == [k / 5 for k in range(6)]
    sources = json.loads((tmp_path / "set" / "dataset.json").read_text())["sources"]
    assert sources[0]["rate"] == "5" and sources[0]["infrared"] == str(tmp_path / "i")


def test_one_run_at_a_time(videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set").mkdir()
    with folder_lock(tmp_path / "set"):
        assert run(videos, tmp_path / "set") == 1
    assert "set is in use by another run" in capsys.readouterr().err
    assert list((tmp_path / "set").iterdir()) == []


@pytest.mark.parametrize("half_a_line", [False, True])
def test_a_run_that_stops_goes_on_to_the_same_files(
    videos: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half_a_line: bool
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(videos, whole) == 0
    judged = []

    def stop_at_nine(*args: object) -> object:
        judged.append(args)
        if len(judged) == 10:
            raise KeyboardInterrupt
        return judge(*args)

    judge = frame_folder.judge
    monkeypatch.setattr(frame_folder, "judge", stop_at_nine)
    assert run(videos, broken) == 130
    monkeypatch.setattr(frame_folder, "judge", judge)
    partial = broken / frame_folder.PROGRESS
    assert len(partial.read_text().splitlines()) == 9 and not (broken / "manifest.jsonl").exists()
    if half_a_line:
        partial.write_text(partial.read_text() + '{"clip": "walk", "na')
    assert run(videos, broken) == 0
    assert contents(broken) == contents(whole)


def test_a_killed_process_goes_on_to_the_same_files(make_video: MakeVideo, tmp_path: Path) -> None:
    grey = frames(30)
    videos = (make_video(tmp_path / "a.mp4", visible_of(grey)), make_video(tmp_path / "b.mp4", grey))
    out, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "ldfusion.cli", "frames", *map(str, videos), "-o", str(out), "--size", "640x480"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if len(list((out / "infrared").glob("[!.]*"))) >= 3:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert main(["frames", *map(str, videos), "-o", str(out), "--size", "640x480"]) == 0
    assert main(["frames", *map(str, videos), "-o", str(whole), "--size", "640x480"]) == 0
    left = contents(out)
    assert {k: v for k, v in left.items() if not Path(k).name.endswith(".tmp.png")} == contents(whole)


def test_humans_masks_and_labels(make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our segmentation network, untrained, finds nobody; with a segmenter that does, masks and labels are written."""
    grey = frames(8)
    grey[5] = 70  # nobody there
    videos = (make_video(tmp_path / "v.mp4", visible_of(grey)), make_video(tmp_path / "i.mp4", grey))
    from ldfusion.registration import masks

    monkeypatch.setattr(masks, "load_segmenter", lambda name: lambda image: (image[:, :1] > 0.6).float())
    out = tmp_path / "set"
    assert run(videos, out, "--humans", "--infrared-threshold", "150", "--human-zero") == 0
    reasons = [line["reason"] for line in manifest(out)]
    assert reasons.count("") == 7 and reasons[5] == "visible without human"
    one = [cv2.imread(str(out / folder / "i_000000.png".replace("i_", "v_")), cv2.IMREAD_GRAYSCALE)
           for folder in ("visible_mask", "infrared_mask", "object_mask")]  # fmt: skip
    assert one[0][24, 4] == 0 and one[0][24, 40] == 255 and one[1][24, 4] == 0 and one[1][24, 40] == 255
    assert one[2][24, 4] == 2 and one[2][24, 40] == 0
    assert set(np.unique(one[2])) == {0, 2}
    sequence = tmp_path / "sequence"
    assert run(videos, sequence, "--humans", "--infrared-threshold", "sequence") == 0
    assert [line["reason"] for line in manifest(sequence)] == reasons
    data = DataConfig(str(out), datasets=["folder"], val_datasets=["folder"], crop=[32, 32], captions="")
    assert set(build_dataset(data, 0, False, masks=True)[0]["mask"].unique().tolist()) <= {0, 2}


def test_folders_of_videos(make_video: MakeVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("visible", "infrared"):
        (tmp_path / side).mkdir()
    for name in ("one", "two"):
        make_video(tmp_path / "visible" / f"{name}.mp4", visible_of(frames(6)))
        make_video(tmp_path / "infrared" / f"{name}.avi", frames(6), codec="mpeg4")
    make_video(tmp_path / "visible" / "three.mp4", visible_of(frames(3)))
    out = tmp_path / "set"
    (tmp_path / "infrared" / "bad.mp4").write_bytes(b"no video")
    (tmp_path / "visible" / "bad.mp4").write_bytes(b"no video")
    sides = (tmp_path / "visible", tmp_path / "infrared")
    assert run(sides, out) == 1
    err = capsys.readouterr().err
    assert (
        "left out: three" in err and "bad.mp4 is not a video" in err and "1 of 3 video pairs could not be used" in err
    )
    assert len(list((out / "visible").iterdir())) == 12 and not (out / "manifest.jsonl").exists()
    make_video(tmp_path / "visible" / "bad.mp4", visible_of(frames(4)))
    make_video(tmp_path / "infrared" / "bad.mp4", frames(4))
    assert run(sides, out) == 0
    assert [line["clip"] for line in manifest(out)].count("bad") == 4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--size", "320"], "expected WIDTHxHEIGHT"),
        (["--split", "1/2"], "expected TRAIN/VAL/TEST"),
        (["--every", "0"], "every 0: give 1 or more"),
        (["--dark", "1.5"], "dark_share 1.5: give a share"),
        (["--humans", "--infrared-threshold", "hot"], "infrared threshold 'hot'"),
        (["--humans", "--segmenter", "owl"], "did you mean 'own'"),
    ],
)
def test_mistakes_are_one_line(
    videos: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: str,
) -> None:
    try:
        done = run(videos, tmp_path / "set", *words)
    except SystemExit as stop:
        done = stop.code
    assert done == 2
    assert expected in capsys.readouterr().err


def test_nothing_kept_is_a_failure(make_video: MakeVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = frames(4, dark=(0, 1, 2, 3))
    videos = (make_video(tmp_path / "a.mp4", visible_of(night)), make_video(tmp_path / "b.mp4", frames(4)))
    assert run(videos, tmp_path / "set") == 1
    assert "no pair was kept (0 of 4 pairs kept; left out: 4 visible dark); loosen the rules" in capsys.readouterr().err
    assert not (tmp_path / "set" / "manifest.jsonl").exists()


def test_a_folder_of_something_else_is_left_alone(
    videos: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine" / "visible"
    mine.mkdir(parents=True)
    (mine / "holiday.png").write_bytes(b"precious")
    assert run(videos, tmp_path / "mine") == 2
    assert "choose an empty folder" in capsys.readouterr().err
    assert contents(tmp_path / "mine") == {"visible/holiday.png": b"precious"}
    assert run((tmp_path / "none.mp4", videos[1]), tmp_path / "set") == 2
    assert run((tmp_path, videos[1]), tmp_path / "set") == 2

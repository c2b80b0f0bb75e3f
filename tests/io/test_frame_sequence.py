"""Folders of numbered frames as videos, and the one way to open either."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.io.frame_sequence import FrameSequence, open_video
from ldfusion.io.palette import apply_palette
from ldfusion.io.thermal import ThermalOptions
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import PairedVideo

H, W = 48, 64


def grey_frames(folder: Path, names: list[str], colour: bool = True) -> Path:
    """PNG frames, each of one level: 10 times its place."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        shape = (H, W, 3) if colour else (H, W)
        Image.fromarray(np.full(shape, 10 * place, np.uint8)).save(folder / name)
    return folder


def test_numbers_order_and_time_the_frames(tmp_path: Path) -> None:
    names = ["f_8.png", "f_9.png", "f_10.png", "f_12.png"]  # 11 is missing
    with FrameSequence(grey_frames(tmp_path / "v", names), rate=Fraction(2)) as video:
        assert video.info.size == (H, W) and video.info.rate == 2 and not video.info.has_audio
        found = list(video.frames())
        assert [frame.time for frame in found] == [4.0, 4.5, 5.0, 6.0]
        assert [int(frame.pixels[0, 0, 0]) for frame in found] == [0, 10, 20, 30]
        assert (video.info.start, video.info.duration) == (4.0, 2.5)
        assert [frame.time for frame in video.frames(4.5, 6.0)] == [4.5, 5.0]
        assert found[0].tensor().shape == (1, 3, H, W)


def test_every_fifth_frame_and_a_date_in_the_names(tmp_path: Path) -> None:
    names = [f"20240501_{5 * k:04d}_cam1.png" for k in range(4)]
    with open_video(grey_frames(tmp_path / "v", names), rate=Fraction(10)) as video:
        assert [frame.time for frame in video.frames()] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_two_folders_are_in_step_by_their_numbers(tmp_path: Path) -> None:
    visible = grey_frames(tmp_path / "v", [f"{k:03d}.png" for k in range(1, 9)])
    infrared = grey_frames(tmp_path / "i", [f"ir_{k}.png" for k in range(3, 11)], colour=False)
    with open_video(visible) as first, open_video(infrared, "infrared") as second:
        pairs = list(PairedVideo(first, second).pairs())
    assert len(pairs) == 6
    # frame 3 of each: the third visible one with the first infrared one
    assert [(int(p.visible.pixels[0, 0, 0]), int(p.infrared.pixels[0, 0])) for p in pairs[:2]] == [(20, 0), (30, 10)]


def test_thermal_frames_have_one_gain(
    tmp_path: Path, camera_files: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    for k in range(3):
        values = np.linspace(10 * k, 10 * k + 20, H * W, dtype=np.float32).reshape(H, W)
        tifffile.imwrite(tmp_path / f"t{k}.tiff", values)
    with caplog.at_level(logging.WARNING), open_video(tmp_path, "infrared") as video:
        means = [frame.pixels.mean() / 255 for frame in video.frames()]
    assert np.diff(means) == pytest.approx([10 / 40, 10 / 40], abs=0.01)
    assert sum("mapped to 0..1" in record.message for record in caplog.records) == 1  # not one for each frame
    with open_video(tmp_path, "infrared", options=ThermalOptions(limits=(0, 100))) as video:
        assert next(video.frames()).pixels.max() == round(255 * 20 / 100)


def test_one_palette_for_all_frames(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, W), (H, 1))
    for k in range(2):
        Image.fromarray(apply_palette(ramp * (1 - 0.9 * k), "iron")).save(tmp_path / f"{k}.png")
    with open_video(tmp_path, "infrared") as video:
        first, second = (frame.pixels.astype(float) / 255 for frame in video.frames())
    assert np.abs(first - ramp).max() < 0.02
    assert np.abs(second - 0.1 * ramp).max() < 0.02  # these few colours alone would be of many palettes


def test_frames_that_cannot_be_read_or_have_another_size(tmp_path: Path) -> None:
    grey_frames(tmp_path, [f"{k}.png" for k in range(4)])
    (tmp_path / "1.png").write_bytes(b"no picture")
    Image.new("RGB", (2 * W, 2 * H), (90, 90, 90)).save(tmp_path / "2.png")
    with open_video(tmp_path) as video:
        found = list(video.frames())
        assert video.damaged == 1 and [frame.pixels.shape for frame in found] == [(H, W, 3)] * 3
        assert int(found[1].pixels[0, 0, 0]) == 90


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no image"),
        (["a.png", "b2.png"], r"told by the numbers in their names, which a\.png lack"),
        (["a1.png", "b1.png"], r"a1\.png and b1\.png are both frame 1; remove one"),
    ],
)
def test_folders_that_are_no_sequence(names: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_video(grey_frames(tmp_path / "v", names))


def test_not_one_frame(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(InputError, match="not one of its 1 frames can be read"):
        open_video(tmp_path)


def test_a_file_is_opened_as_before(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    file = make_video(tmp_path / "a.mp4", np.zeros((3, H, W, 3), np.uint8))
    with open_video(file) as video:
        assert isinstance(video, VideoReader) and len(list(video.frames())) == 3

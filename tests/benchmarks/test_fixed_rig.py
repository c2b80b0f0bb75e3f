from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ldfusion.benchmarks import fixed_rig
from ldfusion.benchmarks.video import known_matrix
from ldfusion.registration.warp import warp_image

MakeVideo = Callable[..., Path]


@pytest.fixture
def clips(tmp_path: Path, make_video: MakeVideo, drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> Path:
    """``visible/a.mp4`` and ``infrared/a.mp4``, 12 frames of a registered scene."""
    for side, image in zip(("visible", "infrared"), drawn_scene, strict=True):
        (tmp_path / side).mkdir()
        pixels = (255 * image[0]).permute(1, 2, 0).numpy().astype(np.uint8)
        frames = np.stack([np.roll(pixels, 2 * k, axis=1) for k in range(12)])
        make_video(tmp_path / side / "a.mp4", frames if side == "visible" else frames[..., 0])
    return tmp_path


def test_frames_in_a_row_are_moved_by_what_brings_them_back(clips: Path) -> None:
    found = list(fixed_rig.consecutive(clips / "visible" / "a.mp4", clips / "infrared" / "a.mp4", 0.5, 3))
    assert len(found) == 3
    visible, infrared, truth = found[0]
    assert visible.shape == (1, 3, 240, 320) and infrared.shape == (1, 1, 240, 320)
    assert np.array_equal(truth, known_matrix((240, 320)))
    back = warp_image(infrared, truth, (240, 320))[..., 60:-60, 60:-60]
    held = fixed_rig.VideoReader(clips / "infrared" / "a.mp4", "infrared")
    frame = next(held.frames(0.5)).tensor()[..., 60:-60, 60:-60]
    assert (back - frame).abs().mean() < 0.03


@pytest.mark.slow
def test_together_is_no_worse_than_alone(clips: Path) -> None:
    parser = ArgumentParser()
    fixed_rig.add_arguments(parser)
    words = [str(clips / "visible"), str(clips / "infrared"), "--starts", "0", "--frames", "3", "--threads", "1"]
    row = fixed_rig.run(parser.parse_args(words)).splitlines()[-1].split()
    assert row[:4] == ["a", "at", "0", "s"]
    median, largest, together = (float(value) for value in row[6:9])
    assert median <= largest and together < 3

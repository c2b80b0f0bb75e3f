"""One transform for a rig (``register --fixed-rig``) against single frames, on consecutive frames of clips.

The infrared frames of registered clips are moved by a known transform. Each frame is registered alone, and several of
them together vote for one; errors are those of the corners of the infrared frame, in visible pixels. What a clip's own
registration is off counts in both alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from torch import Tensor

from ldfusion.benchmarks.video import known_matrix
from ldfusion.data.clips import find_clips
from ldfusion.evaluation.registration import corner_error, thread_count
from ldfusion.evaluation.report import plain
from ldfusion.io.video import VideoReader
from ldfusion.io.video_pair import PairedVideo
from ldfusion.registration import load_registrar
from ldfusion.registration.votes import VOTES, fixed_rig
from ldfusion.registration.warp import Matrix, Size, invert, warp_image
from ldfusion.types import Registration

HEADING = ["clip", "frames", "trusted", "single: median [px]", "largest", "together [px]", "better than"]


def consecutive(visible: Path, infrared: Path, start: float, count: int) -> Iterator[tuple[Tensor, Tensor, Matrix]]:
    """So many frames in a row: visible (1, 3, H, W), infrared (1, 1, h, w) moved away, and what brings it back."""
    with VideoReader(visible) as first, VideoReader(infrared, "infrared") as second:
        for pair in islice(PairedVideo(first, second).pairs(start), count):
            frame = pair.infrared.tensor()
            size: Size = (frame.shape[-2], frame.shape[-1])
            truth = known_matrix(size)
            yield pair.visible.tensor(), warp_image(frame, invert(truth), size), truth


class Remembering:
    """A registrar that keeps what it has found."""

    def __init__(self, method: str) -> None:
        self.registrar = load_registrar(method)
        self.found: list[Registration] = []

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `Registrar`."""
        self.found.append(self.registrar(visible, infrared))
        return self.found[-1]


def compare(name: str, visible: Path, infrared: Path, start: float, count: int, method: str) -> list[str]:
    """One line: frames of a clip from ``start`` seconds on, registered alone and together."""
    single, truths, sizes = Remembering(method), [], []

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        for one, other, truth in consecutive(visible, infrared, start, count):
            truths.append(truth)
            sizes.append((int(other.shape[-2]), int(other.shape[-1])))
            yield one, other

    together = corner_error(fixed_rig(pairs(), single).matrix, truths[0], sizes[0])
    alone = np.array([corner_error(each.matrix, truths[0], sizes[0]) for each in single.found])
    trusted = sum(each.trusted for each in single.found)
    figures = [f"{np.median(alone):.2f}", f"{alone.max():.2f}", f"{together:.2f}", f"{(alone > together).sum()} single"]
    return [f"{name} at {start:g} s", str(len(alone)), str(trusted), *figures]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("visible", type=Path, help="folder of visible videos")
    parser.add_argument("infrared", type=Path, help="folder of infrared videos of the same names, registered")
    parser.add_argument("--starts", type=float, nargs="+", default=[1.0], help="seconds to begin at (1)")
    parser.add_argument("--frames", type=int, default=VOTES, help=f"in a row ({VOTES})")
    parser.add_argument("--method", default="auto", help="registration method (auto)")
    parser.add_argument("--threads", type=int, default=2)


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    thread_count(args.threads)
    clips = find_clips(args.visible, args.infrared)
    rows = [
        compare(clip.name, clip.visible, clip.infrared, start, args.frames, args.method)
        for clip in clips
        for start in args.starts
    ]
    return plain([HEADING, *rows])

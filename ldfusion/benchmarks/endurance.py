"""Memory over long runs: a folder of many small pairs, a long video, and registration of pictures of odd shapes.

Each run is a process of its own. Its resident memory is read four times a second; a run that keeps what it is done
with would grow from the first tenth to the last. What is written are the figures and, with ``-o``, their curves.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ldfusion.errors import InputError, WorkError
from ldfusion.evaluation.report import plain
from ldfusion.io.chart import line_charts
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.io.image import write_png
from ldfusion.io.video_writer import VideoWriter

SIZE = (48, 64)
_KINDS = 12
"""Different pictures, of which all the files are copies."""
_PAUSE = 0.25
SHAPES = ((480, 640), (1000, 64), (33, 4000), (4000, 6000))
_REGISTER = """
import sys, torch
from ldfusion.registration import load_registrar
torch.set_num_threads(1)
h, w = map(int, sys.argv[1:])
g, image = torch.Generator().manual_seed(0), torch.zeros(1, 1, h, w)
for cells in (6, 14, 40, 110):
    size = [max(2, round(side * cells / max(h, w))) for side in (h, w)]
    image += torch.nn.functional.interpolate(torch.rand(1, 1, *size, generator=g), (h, w), mode="bilinear") / 4
load_registrar()(image.expand(-1, 3, -1, -1), 1 - image)
"""


@dataclass(frozen=True)
class Course:
    """Memory of one process.

    Attributes:
        seconds: how long it ran.
        samples: (seconds, megabytes) of its resident memory.
    """

    seconds: float
    samples: list[tuple[float, float]]

    @property
    def peak(self) -> float:
        """Megabytes."""
        return max(value for _, value in self.samples)

    def between(self, first: float, last: float) -> float:
        """Largest value, megabytes, in a part of the time: 0 is the start, 1 the end."""
        inside = [value for at, value in self.samples if first * self.seconds <= at <= last * self.seconds]
        return max(inside, default=self.peak)


def watch(words: Sequence[str]) -> Course:
    """Run Python with these words and follow its memory.

    Raises:
        WorkError: it failed.
        InputError: a system that does not tell the memory of a process (no ``/proc``).
    """
    if not Path("/proc/self/status").exists():
        raise InputError("memory of a process is read from /proc, which this system has not")
    begin = time.perf_counter()
    samples: list[tuple[float, float]] = []
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            samples += [(time.perf_counter() - begin, value) for value in _resident(process.pid)]
            time.sleep(_PAUSE)
        assert process.stderr is not None
        error = process.stderr.read().decode(errors="replace").strip()
    if process.returncode or not samples:
        raise WorkError(f"{words[0]} {words[1]} ended with {process.returncode}: {error.splitlines()[-1:]}")
    return Course(time.perf_counter() - begin, samples)


def _resident(process: int) -> Iterator[float]:
    """Megabytes of resident memory; nothing where the process has just ended."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                yield int(line.split()[1]) / 1024
    except OSError:
        return


def many_pairs(count: int, folder: Path) -> Course:
    """``ldfusion fuse`` on so many pairs of 64x48 pixels, by the mean."""
    rng = np.random.default_rng(0)
    import torch

    for side, channels in (("visible", 3), ("infrared", 1)):
        for k in range(_KINDS):
            write_png(folder / f"{side}-{k}.png", torch.from_numpy(rng.random((channels, *SIZE), dtype=np.float32)))
        (folder / side).mkdir()
        for k in range(count):
            shutil.copyfile(folder / f"{side}-{k % _KINDS}.png", folder / side / f"{k:06d}.png")
    sides = [str(folder / side) for side in ("visible", "infrared")]
    return watch(["-m", "ldfusion.cli", "fuse", *sides, "-o", str(folder / "out"), *_fastest()])


def long_video(count: int, folder: Path) -> Course:
    """``ldfusion video`` on two videos of so many frames of 64x48 pixels, by the mean."""
    rng = np.random.default_rng(0)
    files = [folder / "visible.mp4", folder / "infrared.mp4"]
    for file in files:
        with VideoWriter(file, Fraction(25)) as writer:
            base = rng.integers(0, 200, (*SIZE, 3), dtype=np.uint8)
            for k in range(count):
                writer.write(np.roll(base, k, axis=1), k / 25)
    return watch(["-m", "ldfusion.cli", "video", *map(str, files), "-o", str(folder / "out.mp4"), *_fastest()])


def register_shape(height: int, width: int) -> Course:
    """The robust default on a picture of a shape and its negative."""
    return watch(["-c", _REGISTER, str(height), str(width)])


def _fastest() -> list[str]:
    return ["--method", "mean", "--device", "cpu"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--pairs", type=int, default=10_000, help="of the folder (10000; 0: none)")
    parser.add_argument("--frames", type=int, default=2_000, help="of the video (2000; 0: none)")
    parser.add_argument(
        "--shapes", nargs="*", default=[f"{w}x{h}" for h, w in SHAPES], metavar="WxH", help="that are registered"
    )
    parser.add_argument("-o", "--output", type=Path, help="folder for endurance.json and endurance.png")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    if args.output is not None:
        check_output_folder(args.output)
    courses: dict[str, Course] = {}
    for name, count, work in (("pairs", args.pairs, many_pairs), ("frames", args.frames, long_video)):
        if count:
            with tempfile.TemporaryDirectory() as folder:
                courses[f"{count} {name}"] = work(count, Path(folder))
    for shape in args.shapes:
        width, _, height = shape.partition("x")
        courses[f"register {shape}"] = register_shape(int(height), int(width))
    lines = [["run", "first fifth [MB]", "last fifth [MB]", "peak [MB]", "seconds"]]
    for name, course in courses.items():
        parts = [course.between(0.1, 0.3), course.between(0.8, 1.0), course.peak]
        lines.append([name, *(f"{part:.0f}" for part in parts), f"{course.seconds:.0f}"])
    if args.output is not None:
        with atomic_write(args.output / "endurance.json") as file:
            file.write_text(json.dumps({n: [c.seconds, c.samples] for n, c in courses.items()}), encoding="utf-8")
        panels = {name: {name: course.samples} for name, course in courses.items() if len(course.samples) > 1}
        with atomic_write(args.output / "endurance.png") as file:
            line_charts(panels, "seconds", "resident memory [MB]").save(file)
    return plain(lines)

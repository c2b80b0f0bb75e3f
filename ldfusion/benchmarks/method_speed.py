"""Time and memory of fusion methods, taking turns in one run: what ``ldfusion benchmark`` prints.

A machine that is busy with other things slows one method or the other by chance. So every method has its turn in every
round, and what counts are medians, their spread, and ratios to one of them.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ldfusion.benchmarks.speed import rendered, size_of
from ldfusion.errors import InputError, WorkError
from ldfusion.fusion.base import FusionMethod
from ldfusion.fusion.methods import load_method

METHODS = ("realtime", "realtime@onnx", "realtime-tiny", "realtime-tiny@onnx", "maximum", "laplacian", "seafusion")
SIZES = ("320x240", "640x480", "1280x1024", "3840x2160")
SIZE = "640x480"
REFERENCE = "seafusion"
"""What the times of the others are compared with: one pass of the GRDB network, from colour to colour."""
_ROUNDS = 7
_LARGE = 2_000_000  # pixels above which two rounds have to do
_SLOW = 4.0  # seconds a pass, above which a method is left out at the larger sizes


@dataclass(frozen=True)
class MethodTime:
    """One method at one size.

    Attributes:
        method: its name, with ``@onnx`` where ONNX Runtime runs it.
        size: ``WIDTHxHEIGHT``.
        seconds: median of the rounds.
        low, high: the quickest and the slowest round.
        rate: images a second.
        speedup: how many times quicker than `REFERENCE`, the median of the rounds' own ratios; None without it.
        peak: largest resident memory in MB of a process that does nothing else, and of that what fusing adds; None
            where it was not asked for.
        added: see ``peak``.
    """

    method: str
    size: str
    seconds: float
    low: float
    high: float
    rate: float
    speedup: float | None
    peak: float | None = None
    added: float | None = None


def load_named(name: str) -> FusionMethod:
    """The method of a name like ``realtime`` or ``realtime@onnx``."""
    base, _, runtime = name.partition("@")
    options: dict[str, Any] = {"runtime": runtime} if runtime else {}
    if base == "ldfusion":
        options["prompt"] = "a street with cars and people"  # its captioner has a row in the speed table
    return load_method(base, **options)


def measure(names: Sequence[str], sizes: Sequence[str], threads: int, rounds: int = _ROUNDS) -> list[MethodTime]:
    """Median times of methods on a rendered pair of each size.

    Args:
        names: see `load_named`.
        sizes: ``WIDTHxHEIGHT`` each; a method that takes seconds is left out where a pass would take longer still.
        threads: of every operation.
        rounds: timed ones, after one that is not counted; fewer at large sizes.

    Raises:
        InputError: an unknown method or a size that is none.
    """
    shapes = [size_of(size, "--size") for size in sizes]
    torch.set_num_threads(threads)
    methods = {name: load_named(name) for name in names}
    out, slow = [], dict.fromkeys(names, 0.0)
    for size, shape in zip(sizes, shapes, strict=True):
        pair = rendered(shape)
        pixels = shape[0] * shape[1]
        turn = [name for name in names if slow[name] * pixels < _SLOW]
        taken: dict[str, list[float]] = {name: [] for name in turn}
        for number in range(1 + (rounds if pixels <= _LARGE else 2)):
            for name in turn:
                begin = time.perf_counter()
                methods[name].fuse(*pair)
                if number:
                    taken[name].append(time.perf_counter() - begin)
        reference = taken.get(REFERENCE)
        for name, values in taken.items():
            middle = statistics.median(values)
            slow[name] = middle / pixels if pixels > 100_000 else 0.0
            ratios = [theirs / own for theirs, own in zip(reference, values, strict=True)] if reference else []
            speedup = statistics.median(ratios) if ratios else None
            out.append(MethodTime(name, size, middle, min(values), max(values), 1 / middle, speedup))
    return out


def with_memory(rows: Sequence[MethodTime], threads: int) -> list[MethodTime]:
    """The rows with the memory of each, measured in a process of its own.

    Raises:
        WorkError: a process ends with an error.
    """
    found = []
    for row in rows:
        command = [sys.executable, "-m", "ldfusion.benchmarks.method_speed", row.method, row.size, str(threads)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            reason = result.stderr.strip().splitlines() or ["no message"]
            raise WorkError(f"memory of {row.method} at {row.size}: {reason[-1]}")
        peak, before = (float(word) for word in result.stdout.split())
        found.append(MethodTime(**{**asdict(row), "peak": peak, "added": peak - before}))
    return found


def table(rows: Sequence[MethodTime], threads: int) -> str:
    """The rows as a markdown table."""
    head = ["method", "size", "ms", "from", "to", "images/s", f"times {REFERENCE}", "peak [MB]", "by fusing [MB]"]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * 7}"]
    for row in rows:
        times = " | ".join(f"{1e3 * value:.1f}" for value in (row.seconds, row.low, row.high))
        speedup = "" if row.speedup is None else f"{row.speedup:.1f}"
        memory = " | ".join("" if value is None else f"{value:.0f}" for value in (row.peak, row.added))
        lines.append(f"| {row.method} | {row.size} | {times} | {row.rate:.1f} | {speedup} | {memory} |")
    return f"{threads} threads, median of rounds in which all take turns.\n\n" + "\n".join(lines)


def as_dict(rows: Sequence[MethodTime], threads: int) -> dict[str, Any]:
    """The rows for JSON."""
    return {"threads": threads, "torch": torch.__version__, "rows": [asdict(row) for row in rows]}


def _peak() -> float:
    """Largest resident memory of this process so far in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(words: Sequence[str]) -> int:
    """Print the peak memory of one method at one size, and what it was before it fused."""
    name, size, threads = words
    torch.set_num_threads(int(threads))
    method = load_named(name)
    height, width = size_of(size, "--size")
    before = _peak()
    method.fuse(torch.rand(1, 3, height, width), torch.rand(1, 1, height, width))
    print(_peak(), before)
    return 0


def read_rows(file: Path) -> list[MethodTime]:
    """The rows of a file of ``ldfusion benchmark --json``.

    Raises:
        InputError: it holds something else.
    """
    try:
        return [MethodTime(**row) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not a file of 'ldfusion benchmark --json' ({error})") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs that are killed at random moments, and runs that meet in one folder: ``python tests/fuzz/rounds.py KIND``.

KIND is ``fuse``, ``video``, ``train``, ``frames``, ``align`` or ``register``: in each round a process is started,
killed (SIGKILL) after a random part of the time that an undisturbed one takes, and started again; the files must then
be those of the undisturbed run, byte by byte, and nothing may be left beside them. With ``two-`` before it
(``two-fuse``, ``two-frames``, ``two-train``, ``two-video``) two processes with different settings are started into one
folder at random moments and killed at random; afterwards one of the two settings must come to its own files: never a
mixture.

Processes are forked from this one, which has imported everything: real processes that start at once. OMP_NUM_THREADS=1
is for the caller to set: threads do not survive a fork.
"""

from __future__ import annotations

import argparse
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import cv2
import numpy as np
import torch

from ldfusion.cli import main
from ldfusion.io.video_writer import VideoWriter
from ldfusion.recipes import load
from ldfusion.training.__main__ import main as train
from ldfusion.training.loop import Trainer

ROOT = Path(__file__).resolve().parents[2]
SIZE = (48, 64)
REFUSED = 2
_PASSED_OVER = ("checkpoints", "log", "metrics.jsonl")
"""Of training: the time of day, and means over steps that a killed run has not finished logging."""
Command = Callable[[Path, int], int]
"""Does the work into a folder, under one of two settings, and returns the exit code."""


def _images(folder: Path, count: int) -> list[str]:
    rng = np.random.default_rng(0)
    for side, channels in (("visible", (3,)), ("infrared", ())):
        (folder / side).mkdir(parents=True)
        for k in range(count):
            grain = rng.integers(0, 60, (*SIZE, *channels))
            image = np.kron(rng.integers(0, 180, (6, 8)), np.ones((8, 8)))[(..., *(None for _ in channels))] + grain
            cv2.imwrite(str(folder / side / f"{k:03d}.png"), image.astype(np.uint8))
    return [str(folder / "visible"), str(folder / "infrared")]


def _videos(folder: Path, count: int) -> list[str]:
    from fractions import Fraction

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = []
    for side in ("visible", "infrared"):
        files.append(str(folder / f"{side}.mp4"))
        with VideoWriter(files[-1], Fraction(10)) as writer:
            for k in range(count):
                writer.write(rng.integers(0, 200, (*SIZE, 3), dtype=np.uint8), k / 10)
    return files


def _warmed(command: Command, folder: Path) -> Command:
    """The command after it has run here once: what it imports late is then there for all that are forked."""
    out = folder / "warm"
    out.mkdir()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = command(out, 0)
    if code:
        raise RuntimeError(f"the first run ended with exit code {code}")
    shutil.rmtree(out)
    return command


def fuse(folder: Path) -> Command:
    sides = _images(folder, 30)
    return lambda out, setting: main(
        ["fuse", *sides, "-o", str(out), "--method", ("mean", "maximum")[setting], "--device", "cpu"]
    )


def register(folder: Path) -> Command:
    sides = _images(folder, 6)
    return lambda out, setting: main(
        ["register", *sides, "-o", str(out), "--method", "orientation", *["--flow"] * setting]
    )


def video(folder: Path) -> Command:
    files = _videos(folder, 60)

    def run(out: Path, setting: int) -> int:
        words = ["--method", ("mean", "maximum")[setting], "--device", "cpu"]
        return main(["video", *files, "-o", str(out / "fused.mp4"), *words])

    return run


def frames(folder: Path) -> Command:
    files = _videos(folder, 60)
    return lambda out, setting: main(["frames", *files, "-o", str(out), "--size", "64x48", "--every", str(1 + setting)])


def _data(folder: Path) -> None:
    """A data set of eight pairs, as `align` and `train` read it."""
    _images(folder / "roadscene", 8)
    (folder / "splits").mkdir()
    for name, numbers in (("train", range(6)), ("val", range(6, 8))):
        (folder / "splits" / f"{name}.txt").write_text("".join(f"roadscene/{k:03d}\n" for k in numbers))


def align(folder: Path) -> Command:
    _data(folder)
    script = str(ROOT / "scripts" / "prepare_data.py")

    def run(out: Path, setting: int) -> int:
        sys.argv = [script, "align", "--data", str(folder), "--datasets", "roadscene", "-o", str(out)]
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def training(folder: Path) -> Command:
    _data(folder)
    words = ["--config", str(ROOT / "configs" / "tiny" / "denoiser.yaml"), f"data.root={folder}", "train.tracker=none"]
    words += ["data.datasets=[roadscene]", "data.val_datasets=[roadscene]", "train.steps=8", "train.checkpoint_every=1"]
    # imports what a run needs, and computes no gradient here: PyTorch refuses to do so on both sides of a fork
    Trainer(load(words[1], [*words[2:], f"output={folder / 'never'}"]))
    return lambda out, setting: train([*words, f"output={out}", f"seed={setting}"])


KINDS: dict[str, Callable[[Path], Command]] = {
    "fuse": fuse,
    "video": video,
    "train": training,
    "frames": frames,
    "align": align,
    "register": register,
}
MEETING = ("fuse", "video", "train", "frames")


def _prepared(name: str, folder: Path) -> Command:
    """The command of a kind, with everything imported that it needs."""
    command = KINDS[name](folder)
    return command if name == "train" else _warmed(command, folder)


def start(command: Command, out: Path, setting: int = 0) -> int:
    """The id of a process that does the work."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        out.mkdir(parents=True, exist_ok=True)
        code = command(out, setting)
    finally:
        os._exit(code)


def ended(process: int) -> int:
    """Wait for a process; its exit code, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    ended(process)


def tree(root: Path) -> dict[str, bytes]:
    """The files below a folder, hidden ones too."""
    found = {}
    for file in sorted(root.rglob("*")):
        inside = file.relative_to(root)
        if file.is_file() and inside.parts[0] not in _PASSED_OVER:
            found[str(inside)] = file.read_bytes().replace(str(root).encode(), b"OUT")
    return found


def undisturbed(command: Command, out: Path, setting: int = 0) -> tuple[dict[str, bytes], float]:
    """Files of a run that nobody disturbs, and the seconds it took.

    Raises:
        RuntimeError: it failed.
    """
    begin = time.perf_counter()
    code = ended(start(command, out, setting))
    if code:
        raise RuntimeError(f"an undisturbed run ended with exit code {code}")
    return tree(out), time.perf_counter() - begin


def killed(name: str, rounds: int, seed: int, folder: Path) -> list[str]:
    """Rounds of kill and restart; the last line counts, the ones before it say what was wrong."""
    command, rng = _prepared(name, folder / "in"), random.Random(seed)
    wanted, seconds = undisturbed(command, folder / "reference")
    good = midway = 0
    lines = []
    for number in range(rounds):
        out = folder / f"out-{number}"
        process = start(command, out)
        time.sleep(rng.uniform(0.02, 1.0) * seconds)
        kill(process)
        midway += out.is_dir() and any(out.iterdir()) and tree(out) != wanted
        code = ended(start(command, out))
        same = tree(out) == wanted
        good += same and code == 0
        if not (same and code == 0):
            lines.append(f"{name}, round {number}: exit code {code}, {_difference(tree(out), wanted)}")
        shutil.rmtree(out)
    return [
        *lines,
        f"{name}: {good} of {rounds} rounds ended with the same {len(wanted)} files; {midway} were killed midway",
    ]


def met(name: str, rounds: int, seed: int, folder: Path) -> list[str]:
    """Rounds of two runs with different settings into one folder; see `killed`."""
    command, rng = _prepared(name, folder / "in"), random.Random(seed)
    found = [undisturbed(command, folder / f"reference-{setting}", setting) for setting in (0, 1)]
    wanted, seconds = [files for files, _ in found], max(time for _, time in found)
    good, won = 0, [0, 0]
    lines = []
    for number in range(rounds):
        out = folder / f"out-{number}"
        running = []
        for setting in rng.sample((0, 1), 2):
            running.append(start(command, out, setting))
            time.sleep(rng.uniform(0, 0.5) * seconds)
        for process in running:
            if rng.random() < 0.5:
                time.sleep(rng.uniform(0, 0.5) * seconds)
                kill(process)
            else:
                ended(process)
        # what is there belongs to one of the two: that one goes on, the other is refused or keeps what it finds
        ends = [ended(start(command, out, setting)) for setting in (0, 1)]
        matches = [tree(out) == files for files in wanted]
        good += any(matches)
        for setting in (0, 1):
            won[setting] += matches[setting]
        if not any(matches):
            lines.append(f"two-{name}, round {number}: exit codes {ends}, {_difference(tree(out), wanted[0])}")
        shutil.rmtree(out)
    return [
        *lines,
        f"two-{name}: {good} of {rounds} rounds ended with the files of one run alone ({won[0]} and {won[1]})",
    ]


def _difference(files: dict[str, bytes], wanted: dict[str, bytes]) -> str:
    missing, extra = sorted(wanted.keys() - files.keys()), sorted(files.keys() - wanted.keys())
    other = sorted(name for name in files.keys() & wanted.keys() if files[name] != wanted[name])
    return f"missing {missing[:3]}, extra {extra[:3]}, other {other[:3]}"


def run(words: Sequence[str] | None = None) -> int:
    """Parse and do the rounds; 0 when all of them ended well."""
    names = [*KINDS, *(f"two-{name}" for name in MEETING)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--rounds", type=int, help="of each kind (20; two-...: 50)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    failed = False
    for name in args.kinds or names:
        if name not in names:
            parser.error(f"unknown kind '{name}'; known: {', '.join(names)}")
        two = name.startswith("two-")
        with tempfile.TemporaryDirectory() as folder:
            play = met if two else killed
            lines = play(name.removeprefix("two-"), args.rounds or (50 if two else 20), args.seed, Path(folder))
        print("\n".join(lines), flush=True)
        failed |= len(lines) > 1
    return int(failed)


if __name__ == "__main__":
    sys.exit(run())

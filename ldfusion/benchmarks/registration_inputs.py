"""The registration papers' own finding: without supervision, which input lets the networks learn at all?

Both networks are trained with the papers' loss on grey images, on contours and on human masks, in equal runs: the same
pairs, misalignments, steps and seeds. The papers report that grey and contours stay flat, and that masks succeed.
As theirs, the pairs show people (frames without a human were removed), come from one rig (the same displacement in
all of them, little besides), and the masks are dark on white: with people at 0, what a network pulls in from outside
the frame counts as people, so that pushing the image out of sight is not rewarded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ldfusion.benchmarks.base import add_data, add_run
from ldfusion.config import DataConfig
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_labels
from ldfusion.errors import InputError
from ldfusion.io.chart import line_charts
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.recipes import load
from ldfusion.training.loop import train_once
from ldfusion.training.stages.registration import PERSON

NETWORKS = {"affine": "registration-affine", "voxelmorph": "registration-voxelmorph"}
INPUTS = ("grey", "contours", "masks-published")
SHARE = 0.005
"""Least part of a frame that people take up for the pair to be used."""
PUBLISHED: tuple[str, ...] = (
    "loss.similarity=mse",
    "loss.unsupervised=1.0",
    "loss.supervised=0.0",
    "loss.smooth=0.6",
    "sample.strength=[1,1]",
    "sample.misalignment={rotation: 3, scale: [1.05, 1.15], shift: 0.03, perspective: 0.0, offset: [0.1, 0.08]}",
    "data.jitter=0",
    "optim.lr=1e-4",
    "optim.schedule=constant",
    "optim.warmup=0",
    "optim.ema=0",
    "train.batch=20",
)
"""The papers' settings (Adam 1e-4, batch 20, MSE, lambda 0.6), on registered pairs misaligned by a rig."""
COLUMNS = ("loss, first tenth", "loss, last tenth", "change", "validation loss", "error before [px]", "after [px]")

Rows = dict[str, dict[str, Any]]


def study(output: Path, overrides: Sequence[str] = ()) -> Rows:
    """Train and validate every network on every input; finished runs are not repeated.

    Args:
        output: folder of the runs; gets ``inputs.json``, ``inputs.md`` and ``inputs.png``.
        overrides: of every run, the data folder and the number of steps for instance.

    Returns:
        By ``network/input``: ``curve`` (steps and training losses) and the figures of the last validation.
    """
    check_output_folder(output)
    rows: Rows = {}
    for network, config in NETWORKS.items():
        for kind in INPUTS:
            folder = output / f"{network}-{kind}"
            words = [*PUBLISHED, f"model.inputs=[{kind}]", "train.log_every=5"]
            experiment = load(config, [*words, *overrides, f"output={folder}"])
            for split in ("train_split", "val_split"):
                setattr(experiment.data, split, str(_with_people(experiment.data, split, output)))
            figures = train_once(experiment)
            rows[f"{network}/{kind}"] = {"curve": list(_curve(folder)), **figures}
            _write(rows, output)
    return rows


def _with_people(data: DataConfig, split: str, output: Path) -> Path:
    """A split file of those pairs of a split whose labels show enough people.

    Raises:
        InputError: there is none.
    """
    datasets = data.datasets if split == "train_split" else data.val_datasets
    names = []
    for files in select_pairs(data.root, datasets, getattr(data, split), more=data.catalog):
        if files.labels is not None and bool((read_labels(files.labels) == PERSON).float().mean() >= SHARE):
            names.append(files.name)
    if not names:
        where = getattr(data, split) or "all pairs"
        raise InputError(f"{data.root}: {where}: no pair with labels shows people in {100 * SHARE:g} % of the frame")
    file = output.resolve() / f"{split.removesuffix('_split')}-people.txt"
    with atomic_write(file) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return file


def _curve(folder: Path) -> Iterator[tuple[int, float]]:
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["kind"] == "train":
            yield record["step"], record["train/similarity"]


def _write(rows: Rows, output: Path) -> None:
    with atomic_write(output / "inputs.json") as file:
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with atomic_write(output / "inputs.md") as file:
        file.write_text(table(rows) + "\n", encoding="utf-8")
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, row in rows.items():
        network, kind = name.split("/")
        panels.setdefault(network, {})[kind] = relative(row["curve"])
    with atomic_write(output / "inputs.png") as file:
        line_charts(panels, "step", "loss / loss of the first tenth").save(file)


def _ends(curve: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of a curve, at least one point each."""
    tenth = max(1, len(curve) // 10)
    first, last = curve[:tenth], curve[-tenth:]
    return sum(y for _, y in first) / tenth, sum(y for _, y in last) / tenth


def relative(curve: Sequence[tuple[float, float]], window: int = 5) -> list[tuple[float, float]]:
    """A curve over its own first tenth, smoothed by a running mean of ``window`` points: 1 is where it began."""
    start = _ends(curve)[0] or 1.0
    half = window // 2
    smooth = []
    for k, (x, _) in enumerate(curve):
        near = [y for _, y in curve[max(0, k - half) : k + half + 1]]
        smooth.append((float(x), sum(near) / len(near) / start))
    return smooth


def table(rows: Rows) -> str:
    """The losses and errors as a Markdown table."""
    lines = ["| network | input | " + " | ".join(COLUMNS) + " |", "|---|---" + "|---:" * len(COLUMNS) + "|"]
    for name, row in rows.items():
        network, kind = name.split("/")
        first, last = _ends(row["curve"])
        cells = [f"{first:.4f}", f"{last:.4f}", f"{100 * (last / first - 1) if first else 0:+.1f} %"]
        cells += [f"{row['similarity']:.4f}", f"{row['before_px']:.1f}", f"{row['error_px']:.1f}"]
        lines.append(f"| {network} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_run(parser, "of every run, e.g. train.steps=400")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    return table(study(args.output, [f"data.root={args.data}", *args.overrides]))

"""Fusing raw pairs that are registered first, against fusing the registered pairs of the data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ldfusion.benchmarks.base import add_data
from ldfusion.data.catalog import select_pairs
from ldfusion.evaluation.metrics import SIX
from ldfusion.evaluation.report import method_cells, plain
from ldfusion.evaluation.suite import evaluate_tensors
from ldfusion.loading import load_pair
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration import load_registrar


def registered_fusion_table(pipe: LDFusionPipeline, root: Path, limit: int = 0) -> str:
    """Fusing the raw infrared of the validation stems with registration, against fusing the registered infrared.

    The first two rows are measured against the visible and the data set's registered infrared image. Metrics that
    compare pixels (MI, VIF, Qabf) lose there by a shift of a pixel or two, so the third row measures the second one's
    images against the infrared image they were fused from, as registered here. ``difference`` is that of the means to
    the first row in percent.
    """
    registrar = load_registrar()
    fused: dict[str, list[Tensor]] = {"registered infrared": [], "raw infrared, --register": []}
    visible, infrared, aligned, names = [], [], [], []
    trusted = 0
    files = [f for f in select_pairs(root, ["roadscene"], "splits/val.txt", limit)]
    for file in tqdm(files, unit="pair", disable=not sys.stderr.isatty()):
        stem = file.name.split("/", 1)[1]
        registered = load_pair(file.visible, file.infrared, file.name)
        raw = load_pair(
            file.visible, root / "roadscene" / "infrared_raw" / f"{stem}.png", file.name, registrar=registrar
        )
        trusted += raw.registration is not None and raw.registration.trusted
        for name, pair in zip(fused, (registered, raw), strict=True):
            generator = torch.Generator().manual_seed(0)
            fused[name].append(pipe(pair.visible, pair.infrared, generator=generator).fused[0])
        visible.append(registered.visible[0])
        infrared.append(registered.infrared[0])
        aligned.append(raw.infrared[0])
        names.append(file.name)
    table = evaluate_tensors(fused, visible, infrared, names, SIX)
    own = {"the same, its own infrared": fused["raw infrared, --register"]}
    table.methods.update(evaluate_tensors(own, visible, aligned, names, SIX).methods)
    first, *others = table.methods.values()
    cells = method_cells(table)
    for name, row in zip(list(table.methods)[1:], others, strict=True):
        change = []
        for metric in SIX:
            before, after = first.mean(metric), row.mean(metric)
            change.append("n/a" if not before or after is None else f"{100 * (after / before - 1):+.1f}%")
        cells.append([f"difference: {name}", "", *change])
    return f"{plain(cells)}\n{trusted} of {len(files)} registrations trusted; the others are fused as they came"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("--limit", type=int, default=0, help="pairs (default: all)")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    return registered_fusion_table(LDFusionPipeline.from_pretrained(args.weights), args.data, args.limit)

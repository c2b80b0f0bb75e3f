"""The six-metric table of the validation pairs, timed beside a plain reading of the same definitions in one run."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ldfusion.benchmarks.base import add_data
from ldfusion.config import DataConfig
from ldfusion.data.catalog import PairFiles, select_pairs
from ldfusion.errors import InputError
from ldfusion.evaluation._threads import over_images
from ldfusion.evaluation.conventions import CONVENTIONS
from ldfusion.evaluation.metrics import SIX, compute_metrics
from ldfusion.evaluation.report import markdown, method_cells
from ldfusion.evaluation.suite import luma_codes
from ldfusion.evaluation.table import EvaluationTable
from ldfusion.fusion.classical import laplacian_fusion
from ldfusion.loading import load_pair

Triple = tuple[Tensor, Tensor, Tensor]
PlainMetrics = Callable[[Any, Any, Any], dict[str, float]]
METHOD = "Laplacian pyramid"
PAIRS_AT_ONCE = 8


@dataclass
class MetricTimes:
    """Seconds of both programs over all images, and the largest difference of a value."""

    batched: float = 0.0
    plain: float = 0.0
    difference: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times faster the batched program is."""
        return self.plain / self.batched


def six_metrics(triple: Triple) -> dict[str, float]:
    """The six metrics of one (fused, visible, infrared) triple."""
    return {name: value.item() for name, value in compute_metrics(*triple, SIX).items()}


def compare(images: Sequence[Triple], plain: PlainMetrics) -> tuple[MetricTimes, list[dict[str, float]]]:
    """Both programs, one after the other, on (fused, visible, infrared) triples of (1, 1, H, W) whole numbers 0..255.

    Returns:
        Times, and the batched program's values of each triple.
    """
    arrays = [[image[0, 0].double().numpy() for image in triple] for triple in images]
    start = time.perf_counter()
    rows = list(over_images(six_metrics, images))
    between = time.perf_counter()
    expected = [plain(*triple) for triple in arrays]
    end = time.perf_counter()
    pairs = zip(rows, expected, strict=True)
    difference = max(abs(row[name] - other[name]) for row, other in pairs for name in SIX)
    return MetricTimes(between - start, end - between, difference), rows


def load_plain() -> PlainMetrics:
    """The plain reading.

    Raises:
        InputError: SciPy is missing.
    """
    try:
        from ldfusion.benchmarks.plain_metrics import plain_metrics
    except ImportError as error:
        raise InputError("the plain reading needs SciPy; pip install 'ldfusion[dev]'") from error
    return plain_metrics


def metric_table(root: Path, threads: int, limit: int = 0) -> str:
    """Means of the six metrics over all validation pairs, LLVIP too, and both programs' times.

    Args:
        root: folder of the data sets.
        threads: of both programs.
        limit: first pairs only; 0: all.
    """
    plain = load_plain()
    torch.set_num_threads(threads)
    data = DataConfig(root=str(root))
    pairs = select_pairs(root, ["roadscene", "msrs", "llvip"], data.val_split, limit)
    table = EvaluationTable.empty(CONVENTIONS["plain"], SIX, [METHOD])
    total = MetricTimes()
    compare([_codes(pairs[0])], plain)  # the first call loads libraries
    with tqdm(total=len(pairs), unit="pair", disable=None) as bar:
        # in turns, so that a slow moment of the machine hits both programs
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            chunk = pairs[start : start + PAIRS_AT_ONCE]
            triples = [_codes(files) for files in chunk]
            times, rows = compare(triples, plain)
            for files, triple, values in zip(chunk, triples, rows, strict=True):
                table.add(METHOD, files.name, values, (triple[0].shape[-2], triple[0].shape[-1]))
            total.batched, total.plain = total.batched + times.batched, total.plain + times.plain
            total.difference = max(total.difference, times.difference)
            bar.update(len(chunk))
    lines = [
        markdown(method_cells(table)),
        "",
        f"{len(pairs)} pairs, {threads} threads: batched {total.batched:.2f} s, plain {total.plain:.2f} s, "
        f"{total.ratio:.1f} times faster; largest difference of a value {total.difference:.1e}",
    ]
    return "\n".join(lines)


def _codes(files: PairFiles) -> Triple:
    pair = load_pair(files.visible, files.infrared, files.name)
    fused = laplacian_fusion(pair.visible, pair.infrared)
    return luma_codes(fused[0]), luma_codes(pair.visible[0]), luma_codes(pair.infrared[0])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="first pairs only")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    return metric_table(args.data, args.threads, args.limit)

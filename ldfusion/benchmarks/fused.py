"""The fusion table of the validation pairs, and contact sheets of what it measures."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ldfusion.benchmarks.base import Benchmark, add_data

ROWS = ("mean", "maximum", "maximum-stretched", "laplacian", "zero-learning", "seafusion", "ldfusion")
"""The fusion methods that are compared."""


def _rows_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--methods", nargs="*", default=ROWS, help="fusion methods (default: %(default)s)")
    parser.add_argument(
        "--fused",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="images made elsewhere, STEM.png or dataset_STEM.png; again for every further row",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="keep the methods' images, as DIR/METHOD/dataset_STEM.png, and use them",
    )


def _fusion_arguments(parser: argparse.ArgumentParser) -> None:
    _rows_arguments(parser)
    parser.add_argument("--metrics", metavar="M,M,...", help="columns, or all (default: those of the published table)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="also write OUT/table.md, OUT/table.json and OUT/sheet-1.png, ...",
    )


def _sheet_arguments(parser: argparse.ArgumentParser) -> None:
    _rows_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="PNG; several are numbered")
    parser.add_argument(
        "--pairs", nargs="+", metavar="STEM", help="validation pairs, or dataset/STEM of any (default: twelve)"
    )
    parser.add_argument("--crop", action="store_true", help="a window of each pair at full resolution")


def _fusion(args: argparse.Namespace) -> str:
    from ldfusion.benchmarks.images import image_rows
    from ldfusion.benchmarks.rows import validation_pairs
    from ldfusion.benchmarks.sheets import shown_pairs, write_sheets
    from ldfusion.commands.evaluate import methods
    from ldfusion.evaluation.conventions import get_convention
    from ldfusion.evaluation.metrics import PANEL
    from ldfusion.evaluation.panel import by_data_set, render_panel, write_panel
    from ldfusion.evaluation.suite import evaluate_files
    from ldfusion.io.files import atomic_write, check_output_folder

    wanted = PANEL if args.metrics is None else [name.strip() for name in args.metrics.split(",")]
    columns = get_convention("plain").select(wanted)
    if args.output is not None:
        check_output_folder(args.output)
    pairs, given = validation_pairs(args.data), methods(args.fused)
    with _folder(args.save) as folder:
        rows = image_rows(pairs, args.methods, given, folder, args.weights)
        triples = [(pair.name, pair.visible, pair.infrared) for pair in pairs]
        tables = by_data_set(evaluate_files(rows, triples, columns, places=given))
        text = render_panel(tables)
        if args.output is not None:
            with atomic_write(args.output / "table.md") as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
            write_panel(tables, args.output / "table.json")
            write_sheets(shown_pairs(args.data), rows, args.output / "sheet.png", numbered=True)
    return text


def _sheet(args: argparse.Namespace) -> str:
    from ldfusion.benchmarks.images import image_rows
    from ldfusion.benchmarks.sheets import shown_pairs, write_sheets
    from ldfusion.commands.evaluate import methods
    from ldfusion.errors import InputError
    from ldfusion.io.files import check_output_folder

    if args.output.is_dir() or args.output.suffix.lower() != ".png":
        raise InputError(f"-o {args.output}: give a PNG file")
    check_output_folder(args.output.parent)
    pairs = shown_pairs(args.data, args.pairs)
    with _folder(args.save) as folder:
        rows = image_rows(pairs, args.methods, methods(args.fused), folder, args.weights)
        return "\n".join(map(str, write_sheets(pairs, rows, args.output, args.crop)))


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The folder of the images: the given one, or one that goes with the run."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


BENCHMARKS = {
    "fusion": Benchmark("fusion metrics on the validation pairs, and on each data set", _fusion_arguments, _fusion),
    "sheet": Benchmark("sources and fused images of some pairs in one picture", _sheet_arguments, _sheet),
}

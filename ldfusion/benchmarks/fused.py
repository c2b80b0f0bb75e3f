"""The fusion table of the validation pairs, and contact sheets of what it measures."""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.benchmarks.base import validation_pairs
from ldfusion.benchmarks.images import add_rows, image_rows, images_folder
from ldfusion.benchmarks.sheets import shown_pairs, write_sheets
from ldfusion.evaluation.conventions import get_convention
from ldfusion.evaluation.metrics import PANEL
from ldfusion.evaluation.panel import by_data_set, render_panel, write_panel
from ldfusion.evaluation.suite import evaluate_files
from ldfusion.evaluation.tasks.scores import TaskTable
from ldfusion.io.files import atomic_write, check_output_folder, named_folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_rows(parser)
    parser.add_argument("--metrics", metavar="M,M,...", help="columns, or all (default: those of the published table)")
    parser.add_argument(
        "--join",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="tasks.json and video.json of the benchmarks `tasks` and `video`, whose columns join the table",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="also write OUT/table.md, OUT/table.json and OUT/sheet-1.png, ...",
    )


def run(args: argparse.Namespace) -> str:
    """Make the images, measure them, and return the table."""
    wanted = PANEL if args.metrics is None else [name.strip() for name in args.metrics.split(",")]
    columns = get_convention("plain").select(wanted)
    others = [TaskTable.read(file) for file in args.join]
    if args.output is not None:
        check_output_folder(args.output)
    pairs, given = validation_pairs(args.data), named_folders(args.fused)
    with images_folder(args.save) as folder:
        rows = image_rows(pairs, args.methods, given, folder, args.weights)
        triples = [(pair.name, pair.visible, pair.infrared) for pair in pairs]
        tables = by_data_set(evaluate_files(rows, triples, columns, places=given))
        text = render_panel(tables, others)
        if args.output is not None:
            with atomic_write(args.output / "table.md") as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
            write_panel(tables, args.output / "table.json")
            write_sheets(shown_pairs(args.data), rows, args.output / "sheet.png", numbered=True)
    return text

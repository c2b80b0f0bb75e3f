"""Measure fused images against their sources.

Images belong together by name without suffix. The table states the convention of its numbers. Pairs that cannot be
evaluated are named and left out of the means, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.commands import options
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError

CONVENTIONS = ("plain", "tang", "tang-published", "zoo", "vifb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fused",
        action="append",
        metavar="[NAME=]DIR",
        required=True,
        help="folder of fused images, or one image; again for every further method",
    )
    for side in ("visible", "infrared"):
        parser.add_argument(
            f"--{side}", type=Path, metavar="DIR", required=True, help=f"folder of {side} images, or one image"
        )
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        default="plain",
        help="whose definitions, to compare with a published table (default: plain)",
    )
    parser.add_argument(
        "--metrics", metavar="M,M,...", help="columns, like EN,MI,VIF; all: the slow FMI too (default: the usual ones)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page, with JSON and CSV beside it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number to this file")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a line for every image to this file")
    parser.add_argument("--per-image", action="store_true", help="print a line for each image, not only the means")
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 when every pair was evaluated, 1 when some could not be."""
    from ldfusion.evaluation.report import render
    from ldfusion.evaluation.suite import evaluate_pairs

    fused = methods(args.fused)
    outputs = _outputs(args)
    table = evaluate_pairs(
        fused,
        args.visible,
        args.infrared,
        metrics=None if args.metrics is None else [name.strip() for name in args.metrics.split(",")],
        device=options.choose_device(args.device),
        convention=args.convention,
    )
    for problem in table.problems:
        say(f"warning: {problem}")
    print(render(table, per_image=args.per_image))
    if "json" in outputs:
        table.write_json(outputs["json"])
    if "csv" in outputs:
        table.write_csv(outputs["csv"])
    if args.html is not None:
        from ldfusion.evaluation.html_report import metric_sections, picture_section
        from ldfusion.evaluation.page import page, write_page

        pictures = picture_section(table, fused, args.visible, args.infrared)
        write_page(args.html, page("Fusion report", [*metric_sections(table), pictures]))
    return 1 if table.problems else 0


def methods(given: list[str]) -> dict[str, Path]:
    """Method names and their folders from ``NAME=DIR`` words; without a name the folder gives it.

    Raises:
        InputError: a folder that is not there, or two methods of one name.
    """
    found: dict[str, Path] = {}
    for word in given:
        name, separator, rest = word.partition("=")
        path = Path(rest) if separator and not Path(word).exists() else Path(word)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if path == Path(word):
            name = path.stem if path.is_file() else path.resolve().name
        if not name:
            raise InputError(f"--fused {word}: write it as NAME=DIR")
        if name in found:
            raise InputError(f"--fused: two methods are called '{name}'; tell them apart with NAME=DIR")
        found[name] = path
    return found


def _outputs(args: argparse.Namespace) -> dict[str, Path]:
    """Files to write by kind: those asked for, and JSON and CSV beside a page; proved to be writable.

    Raises:
        InputError: a folder where a file is expected.
    """
    from ldfusion.io.files import check_output_folder

    given: dict[str, Path | None] = {"json": args.json, "csv": args.csv}
    if args.html is not None:
        given = {kind: path or args.html.with_suffix(f".{kind}") for kind, path in given.items()}
    for kind, path in {**given, "html": args.html}.items():
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"--{kind} {path} is a folder; give a file")
        check_output_folder(path.parent)
    return {kind: path for kind, path in given.items() if path is not None}

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for side in ("fused", "visible", "infrared"):
        parser.add_argument(
            f"--{side}", type=Path, metavar="DIR", required=True, help=f"folder of {side} images, or one image"
        )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number to this file")
    parser.add_argument("--per-image", action="store_true", help="print a line for each image, not only the means")
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 when every pair was evaluated, 1 when some could not be."""
    from ldfusion.evaluation.report import render
    from ldfusion.evaluation.suite import evaluate_pairs
    from ldfusion.io.files import check_output_folder

    if args.json is not None:
        if args.json.is_dir():
            raise InputError(f"--json {args.json} is a folder; give a file")
        check_output_folder(args.json.parent)
    if not args.fused.exists():
        raise InputError(f"{args.fused}: no such file or folder")
    method = args.fused.stem if args.fused.is_file() else args.fused.resolve().name
    table = evaluate_pairs({method: args.fused}, args.visible, args.infrared, device=options.choose_device(args.device))
    for problem in table.problems:
        say(f"warning: {problem}")
    print(render(table, per_image=args.per_image))
    if args.json is not None:
        table.write_json(args.json)
    return 1 if table.problems else 0

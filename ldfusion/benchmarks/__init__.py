"""The published tables, one file each: ``python -m ldfusion.benchmarks TABLE ...`` prints one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

TABLES = {
    "fusion": ("fused", "fusion metrics on the validation pairs, and on each data set"),
    "sheet": ("sheets", "sources and fused images of some pairs in one picture"),
    "speed": ("speed", "every step against one pass of the GRDB network, on a rendered pair"),
    "depth": ("depth", "depth against the teacher on the validation pairs"),
    "captions": ("captions", "captions of the validation pairs"),
    "language": ("language", "right captions against wrong ones"),
    "registered-fusion": ("registered_fusion", "fusing raw pairs with --register against registered ones"),
    "segmentation": ("segmentation", "segmentation networks on the validation pairs with true masks"),
    "metrics": ("metrics", "the six metrics of the validation pairs, beside plain NumPy"),
    "tasks": ("tasks", "segmentation, detection and depth of every fusion method"),
    "registration": ("registration", "registration methods on real and warped pairs"),
    "registration-trust": ("registration_trust", "whether the score keeps its word, on pictures of every shape"),
    "fixed-rig": ("fixed_rig", "one transform for a rig against single frames of clips"),
    "camera-formats": ("camera_formats", "what is read of files of thermal cameras"),
    "endurance": ("endurance", "memory over 10,000 pairs, 2,000 frames, and pictures of odd shapes"),
    "video": ("video", "three clips with a known misalignment, registered and fused end to end"),
    "ablation": ("ablation", "train and validate the variants of the fusion network"),
    "registration-inputs": ("registration_inputs", "the papers' finding: grey, contours or masks as input"),
    "seafusion-strategies": ("seafusion_strategies", "train SeAFusion's strategies, judge them by segmentation"),
}
"""Name of a table -> its module here, and what it measures. A module has ``add_arguments(parser)`` and ``run(args)``,
which measures and returns the table as text; it is imported when its table is asked for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line names and print its table.

    Returns:
        0, or the exit code of the error, which is printed as one line.
    """
    from ldfusion.errors import LDFusionError

    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="benchmark", description="Regenerate the published tables.")
    parser.add_argument("--weights", default=None, help="pipeline folder or hub id (default: embedded)")
    commands = parser.add_subparsers(dest="what", metavar="TABLE", required=True)
    for name, (module, summary) in TABLES.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in words:  # the others' libraries are not waited for
            import_module(f"ldfusion.benchmarks.{module}").add_arguments(command)
    args = parser.parse_args(words)
    try:
        print(import_module(f"ldfusion.benchmarks.{TABLES[args.what][0]}").run(args))
    except LDFusionError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.exit_code
    return 0

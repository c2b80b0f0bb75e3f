"""The published tables by name, each with its arguments; ``scripts/benchmark.py`` prints them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ldfusion.benchmarks import fused, measured, of_pipeline, trained
from ldfusion.benchmarks.base import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    **fused.BENCHMARKS,
    **of_pipeline.BENCHMARKS,
    **measured.BENCHMARKS,
    **trained.BENCHMARKS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that the command line names and print its table.

    Returns:
        0, or the exit code of the error, which is printed as one line.
    """
    from ldfusion.errors import LDFusionError

    parser = argparse.ArgumentParser(description="Regenerate the published tables.")
    parser.add_argument("--weights", default=None, help="pipeline folder or hub id (default: embedded)")
    commands = parser.add_subparsers(dest="what", metavar="TABLE", required=True)
    for name, benchmark in BENCHMARKS.items():
        benchmark.add_arguments(commands.add_parser(name, help=benchmark.help, description=benchmark.help))
    args = parser.parse_args(argv)
    try:
        print(BENCHMARKS[args.what].run(args))
    except LDFusionError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.exit_code
    return 0

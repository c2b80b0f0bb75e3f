"""What a benchmark is, and the arguments that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Benchmark:
    """One published table.

    Attributes:
        help: what it measures, for ``--help``.
        add_arguments: adds its arguments to its parser.
        run: measures and returns the table as text; heavy imports wait until it runs.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], str]


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")


def add_labels(parser: argparse.ArgumentParser, required: bool = True) -> None:
    more = "" if required else "; none: no depth on real pairs"
    parser.add_argument("--labels", type=Path, required=required, help=f"of prepare_data.py depth{more}")


def add_run(parser: argparse.ArgumentParser, overrides: str = "KEY=VALUE words for the configuration") -> None:
    """``-o`` for a benchmark that trains, and the words that change its configuration."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs; finished ones are kept")
    parser.add_argument("overrides", nargs="*", help=overrides)

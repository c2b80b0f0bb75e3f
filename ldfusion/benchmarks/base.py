"""What several tables share: arguments, and the pairs that they measure."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ldfusion.data.catalog import PairFiles
    from ldfusion.types import Pair


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data``, the folder of the data sets."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")


def add_labels(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """``--labels``, the teacher's depth."""
    more = "" if required else "; none: no depth on real pairs"
    parser.add_argument("--labels", type=Path, required=required, help=f"of prepare_data.py depth{more}")


def add_run(parser: argparse.ArgumentParser, overrides: str = "KEY=VALUE words for the configuration") -> None:
    """``-o`` for a table that trains, and the words that change its configuration."""
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the runs; finished ones are kept")
    parser.add_argument("overrides", nargs="*", help=overrides)


def validation_pairs(root: Path) -> list[PairFiles]:
    """The RoadScene and MSRS pairs of the validation split (49 in the shared data), in its order."""
    from ldfusion.config import DataConfig
    from ldfusion.data.catalog import select_pairs

    data = DataConfig(root=str(root))
    return select_pairs(root, data.val_datasets, data.val_split)


def read_validation(root: Path) -> Iterator[tuple[PairFiles, Pair]]:
    """`validation_pairs`, read."""
    from ldfusion.loading import load_pair

    for files in validation_pairs(root):
        yield files, load_pair(files.visible, files.infrared, files.name)


def lines(rows: Mapping[str, float]) -> str:
    """One figure a line."""
    return "\n".join(f"{name:40} {value:.4f}" for name, value in rows.items())

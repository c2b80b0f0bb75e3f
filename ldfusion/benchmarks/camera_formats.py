"""What is read of files of thermal cameras, beside a table of known temperatures and the cameras' own pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.evaluation.report import NOT_AVAILABLE, plain
from ldfusion.io.decode import drop_alpha, read_raw
from ldfusion.io.files import images_in
from ldfusion.io.image import COLOR_MAP_SPREAD, channel_spread
from ldfusion.io.palette import recognise, to_grey
from ldfusion.io.radiometric import read_thermal

HEADING = ["file", "size", "values", "lowest", "median", "highest", "photo", "like its picture"]


def row(file: Path) -> list[str]:
    """One line: what is read, and its correlation with the picture that the camera made of it (grey, or by palette)."""
    try:
        found = read_thermal(file)
    except InputError as error:
        return [file.name, str(error), *[NOT_AVAILABLE] * (len(HEADING) - 2)]
    values = found.values if found.values.ndim == 2 else found.values.mean(-1)
    figures = [f"{v:.1f}" for v in (values.min(), np.median(values), values.max())]
    kind, photo = ("degrees C" if found.celsius else "counts"), ("yes" if found.photo is not None else "no")
    return [file.name, f"{values.shape[1]}x{values.shape[0]}", kind, *figures, photo, _likeness(values, _picture(file))]


def known_answer(file: Path, table: Path) -> str:
    """How far the temperatures of a file are from those of a table (CSV, one line a row of pixels), degrees."""
    wanted = np.genfromtxt(table, delimiter=",", encoding="utf-8-sig")
    off = np.abs(read_thermal(file).values - wanted)
    return f"{file.name}: {off.size} temperatures, off by {off.mean():.4f} in the mean and {off.max():.4f} at most"


def _picture(file: Path) -> NDArray[Any]:
    """(H, W): what the file shows, by the order of its palette where it is coloured."""
    picture = drop_alpha(read_raw(file))
    if picture.ndim == 2:
        return picture
    name = recognise(picture) if channel_spread(picture)[1] > COLOR_MAP_SPREAD else None
    return picture.mean(-1) if name is None else to_grey(picture, name)


def _likeness(values: NDArray[Any], picture: NDArray[Any]) -> str:
    if picture.shape != values.shape:
        return NOT_AVAILABLE
    return f"{np.corrcoef(values.ravel().astype(float), picture.ravel().astype(float))[0, 1]:.3f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", type=Path, help="of thermal files")
    parser.add_argument(
        "--known", type=Path, nargs=2, metavar=("FILE", "CSV"), help="a file and the temperatures of its pixels"
    )


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    lines = [plain([HEADING, *(row(file) for file in images_in(args.folder)[0])])]
    return "\n\n".join([*lines, *([known_answer(*args.known)] if args.known else [])])

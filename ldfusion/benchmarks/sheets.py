"""Contact sheets of fused images: which pairs are shown, and what of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ldfusion.benchmarks.base import validation_pairs
from ldfusion.benchmarks.images import Images, add_rows, image_rows, images_folder
from ldfusion.config import nearest
from ldfusion.data.catalog import PairFiles, find_pairs
from ldfusion.errors import InputError, LDFusionError
from ldfusion.io.files import atomic_write, check_output_folder, named_folders
from ldfusion.io.image import read_visible
from ldfusion.io.notices import notice
from ldfusion.io.sheet import CELL, Row, contact_sheet
from ldfusion.io.size import resize
from ldfusion.loading import load_pair

SHOWN = {
    "roadscene/FLIR_00233": (0.45, 0.60),  # day: a red car, lights
    "roadscene/FLIR_08768": (0.40, 0.65),  # day: a person crosses, a low contrast
    "roadscene/FLIR_07176": (0.60, 0.45),  # night: a red traffic light, lamps
    "roadscene/FLIR_08992": (0.50, 0.60),  # night: a car in the glare of others, a person at the roadside
    "roadscene/FLIR_09636": (0.50, 0.50),  # night: four people from behind
    "roadscene/FLIR_video_01425": (0.35, 0.60),  # night: cars, a street in strong light
    "msrs/00291D": (0.72, 0.45),  # day: people in front of a lorry
    "msrs/00392D": (0.75, 0.45),  # day: a cyclist
    "msrs/00621D": (0.20, 0.55),  # day: people, a traffic cone
    "msrs/00922N": (0.60, 0.45),  # night: a car's lights
    "msrs/01152N": (0.60, 0.40),  # night: street lamps, headlights
    "msrs/01238N": (0.55, 0.50),  # night: people and a lamp
}
"""The pairs of a sheet by default, of `docs/val.txt`, and where the window of a crop lies: its centre (x, y) as shares
of width and height."""
PAIRS_A_SHEET = 6
WINDOW = (240, CELL)
"""Height and width of a crop in pixels; it is shown as it is, not scaled."""


def shown_pairs(root: Path, names: Sequence[str] | None = None) -> list[PairFiles]:
    """The pairs of a sheet.

    Args:
        root: folder of the data sets.
        names: ``STEM`` of validation pairs, or ``dataset/STEM`` of any pair of a data set; None: those of `SHOWN`, or
            the first twelve validation pairs where the data has none of them.

    Raises:
        InputError: a name that is not there.
    """
    pairs = validation_pairs(root)
    if names is None:
        return [pair for name in SHOWN for pair in pairs if pair.name == name] or pairs[: len(SHOWN)]
    found = []
    for name in names:
        pool = find_pairs(root, name.split("/", 1)[0]) if "/" in name else pairs
        known = {pair.name if "/" in name else pair.stem: pair for pair in pool}
        if name not in known:
            raise InputError(f"--pairs: no pair '{name}'; {nearest(name, known)}")
        found.append(known[name])
    return found


def write_sheets(
    pairs: Sequence[PairFiles], rows: Mapping[str, Images], file: Path, crop: bool = False, numbered: bool = False
) -> list[Path]:
    """Write sheets of visible, infrared and the images of every row, `PAIRS_A_SHEET` pairs each.

    Args:
        pairs: one row of a sheet each.
        rows: name of a column -> its images; one that is missing or broken leaves its cell empty.
        file: PNG; of several sheets, or where ``numbered``, -1, -2 and so on go after its stem.
        crop: a window of each pair, the same for all columns, instead of the whole images.

    Returns:
        The files written.
    """
    chunks = [pairs[start : start + PAIRS_A_SHEET] for start in range(0, len(pairs), PAIRS_A_SHEET)]
    written = []
    for number, chunk in enumerate(chunks, 1):
        target = file.with_stem(f"{file.stem}-{number}") if numbered or len(chunks) > 1 else file
        sheet = contact_sheet(["visible", "infrared", *rows], [_row(pair, rows, crop) for pair in chunk])
        with atomic_write(target) as temporary:
            sheet.save(temporary)
        written.append(target)
    return written


def window(size: tuple[int, int], centre: tuple[float, float] = (0.5, 0.5)) -> tuple[slice, slice]:
    """Rows and columns of a crop of `WINDOW`, or less where an image has less, around ``centre`` but inside of it.

    Args:
        size: height and width.
        centre: (x, y) as shares of width and height.
    """
    found = []
    for length, wanted, share in zip(size, WINDOW, reversed(centre), strict=True):
        taken = min(length, wanted)
        start = min(max(round(share * length - taken / 2), 0), length - taken)
        found.append(slice(start, start + taken))
    return found[0], found[1]


def _read(file: Path, size: tuple[int, int]) -> Tensor | None:
    """A fused image of that size; None, and a line about it, where it cannot be read."""
    try:
        image = read_visible(file)[0][None]
    except LDFusionError as error:
        notice(str(error))
        return None
    return (image if image.shape[-2:] == torch.Size(size) else resize(image, size))[0]


def _row(pair: PairFiles, rows: Mapping[str, Images], crop: bool) -> Row:
    read = load_pair(pair.visible, pair.infrared, pair.name)
    size = (int(read.visible.shape[-2]), int(read.visible.shape[-1]))
    pictures: list[Tensor | None] = [read.visible[0], read.infrared[0]]
    for images in rows.values():
        pictures.append(_read(images[pair.name], size) if pair.name in images else None)
    if crop:
        down, right = window(size, SHOWN.get(pair.name, (0.5, 0.5)))
        pictures = [None if picture is None else picture[:, down, right] for picture in pictures]
    return pair.name, pictures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_rows(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="PNG; several are numbered")
    parser.add_argument(
        "--pairs", nargs="+", metavar="STEM", help="validation pairs, or dataset/STEM of any (default: twelve)"
    )
    parser.add_argument("--crop", action="store_true", help="a window of each pair at full resolution")


def run(args: argparse.Namespace) -> str:
    """Make the images and the sheets, and return the sheets' names.

    Raises:
        InputError: ``-o`` names no PNG file.
    """
    if args.output.is_dir() or args.output.suffix.lower() != ".png":
        raise InputError(f"-o {args.output}: give a PNG file")
    check_output_folder(args.output.parent)
    pairs = shown_pairs(args.data, args.pairs)
    with images_folder(args.save) as folder:
        rows = image_rows(pairs, args.methods, named_folders(args.fused), folder, args.weights)
        return "\n".join(map(str, write_sheets(pairs, rows, args.output, args.crop)))

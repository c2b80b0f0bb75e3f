"""Options of what is read: pairs, thermal files, folders of frames; and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import values
from ldfusion.errors import InputError

if TYPE_CHECKING:
    from ldfusion.io.thermal import ThermalOptions

THERMAL_UNITS = ("auto", "celsius", "kelvin", "kelvin-10", "kelvin-25", "kelvin-100", "counts")
"""Names of `ldfusion.io.thermal`, which is not imported for a help text."""


def add_pair(parser: argparse.ArgumentParser) -> None:
    """The two sides of a pair: two files, two folders whose files are matched by name, or what holds both."""
    parser.add_argument(
        "visible",
        type=Path,
        metavar="VISIBLE",
        help="visible image, or a folder of them; alone: a folder of both kinds, or a thermal file with its photo",
    )
    parser.add_argument(
        "infrared",
        type=Path,
        nargs="?",
        metavar="INFRARED",
        help="infrared image, or a folder with files of the same names (up to marks like _vis and _ir)",
    )
    parser.add_argument("--recursive", action="store_true", help="look into subfolders too")


def add_thermal(parser: argparse.ArgumentParser) -> None:
    """How infrared files are read."""
    parser.add_argument(
        "--range",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="what becomes black and white in the infrared images: degrees C where the files have them, else their own "
        "units (default: percentiles, one pair for a folder)",
    )
    parser.add_argument(
        "--thermal-unit",
        choices=THERMAL_UNITS,
        default="auto",
        help="unit of infrared files of plain numbers: kelvin-100 is kelvin x 100 (default: told by their range)",
    )
    parser.add_argument("--page", type=values.page, metavar="N", help="page of TIFF files that have several (first)")


def add_rate(parser: argparse.ArgumentParser) -> None:
    """How fast folders of numbered frames are."""
    parser.add_argument(
        "--rate", type=values.rate, metavar="R", help="frames a second of folders of numbered frames (default: 25)"
    )


def check_rate(args: argparse.Namespace) -> None:
    """Refuse a rate where there is no folder of frames.

    Raises:
        InputError: video files have their own.
    """
    if args.rate is not None and not (args.visible.is_dir() or args.infrared.is_dir()):
        raise InputError("--rate is for folders of numbered frames; video files have their own")


def thermal_options(args: argparse.Namespace, files: Sequence[Path]) -> ThermalOptions:
    """The options of `add_thermal`; without a range one gain for all of ``files`` where there are several.

    Raises:
        InputError: a range that is none.
    """
    from ldfusion.io.radiometric import common_limits
    from ldfusion.io.thermal import ThermalOptions

    limits = getattr(args, "range", None)
    if limits is not None and not limits[0] < limits[1]:
        raise InputError(f"--range {limits[0]:g} {limits[1]:g}: give the lower one first")
    given = ThermalOptions(
        unit=getattr(args, "thermal_unit", "auto"), limits=limits and tuple(limits), page=getattr(args, "page", None)
    )
    if given.limits is None and len(files) > 1:
        given = replace(given, limits=common_limits(files, given))
    return given


def image_options(args: argparse.Namespace) -> ThermalOptions:
    """The same for images that are looked at one by one, of ``args.modality``.

    Raises:
        InputError: a range or a unit for images that are not infrared.
    """
    if args.modality != "infrared":
        for word, given in (("--range", args.range), ("--thermal-unit", args.thermal_unit != "auto")):
            if given:
                raise InputError(f"{word} is for infrared images; add --modality infrared")
    return thermal_options(args, [])

"""What the commands share that do one thing for many files: `ldfusion.jobs`, started from their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options
from ldfusion.commands.terminal import say
from ldfusion.jobs import Job, Work, is_main

if TYPE_CHECKING:
    from torch import Tensor

    from ldfusion.io.pairing import NamedPair
    from ldfusion.io.thermal import ThermalOptions


def run_images(
    args: argparse.Namespace, outputs: Callable[[str], list[Path]], load: Callable[[], Work[Path]], verb: str
) -> int:
    """Work on ``args.images``, files or folders; 0 when every image has its results, 1 when some could not be done.

    Args:
        outputs: the files of one name, relative to ``args.output``.
        load: gives what works on one image.
        verb: what is done to an image, in the last line: "... segmented".

    Raises:
        InputError: none of them is there, two share a name or an output, or the output folder cannot be written.
    """
    from ldfusion.io.files import named_images, output_folder

    images, missing = named_images(args.images)
    for path in missing:
        say(f"error: {path}: no such file or folder")
    job = Job(images, unit="image", root=args.output, outputs=outputs, overwrite=args.overwrite).check()
    options.choose_device(args.device)
    with output_folder(args.output):
        tally = job.run(load)
    if is_main():
        say(f"{tally.words(f'{tally.done} {verb}')}; results in {args.output}")
    return 1 if missing else tally.exit_code


def read_pairs(args: argparse.Namespace) -> dict[str, NamedPair]:
    """The pairs of ``args.visible`` and ``args.infrared`` by name; images without a partner are named and left out."""
    from ldfusion.io.pairing import match_pairs

    pairs = match_pairs(args.visible, args.infrared, args.recursive)
    if pairs.rule:
        say(pairs.rule)
    for line in pairs.report():
        say(f"warning: {line}")
    return {pair[0]: pair for pair in pairs}


def read_image(file: Path, modality: str, thermal: ThermalOptions) -> Tensor:
    """One image (C, H, W) in [0, 1]: an infrared one of any bit depth, or a visible or fused one in colour."""
    from ldfusion.io.image import read_infrared, read_visible

    if modality == "infrared":
        return read_infrared(file, options=thermal)
    return read_visible(file, page=thermal.page)[0]

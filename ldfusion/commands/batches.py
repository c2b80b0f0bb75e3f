"""What the commands share that do one thing for many files: `ldfusion.jobs`, started from their arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options
from ldfusion.commands.terminal import say
from ldfusion.jobs import Job, Work, is_main, kept_words

if TYPE_CHECKING:
    from torch import Tensor

    from ldfusion.io.pairing import NamedPair


def run_images(args: argparse.Namespace, outputs: Callable[[str], list[Path]], load: Callable[[], Work[Path]]) -> int:
    """Work on ``args.images``, files or folders; 0 when every image has its results, 1 when some could not be done.

    Raises:
        InputError: none of them is there, two share a name or an output, or the output folder cannot be written.
    """
    from ldfusion.io.files import check_output_folder, named_images

    images, missing = named_images(args.images)
    for path in missing:
        say(f"error: {path}: no such file or folder")
    job = Job(images, unit="image", root=args.output, outputs=outputs, overwrite=args.overwrite).check()
    check_output_folder(args.output)
    options.choose_device(args.device)
    tally = job.run(load)
    if tally.kept and is_main():
        say(kept_words(tally.kept))
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


def read_image(file: Path, modality: str) -> Tensor:
    """One image (C, H, W) in [0, 1]: an infrared one of any bit depth, or a visible or fused one in colour."""
    from ldfusion.io.image import read_infrared, read_visible

    return read_infrared(file) if modality == "infrared" else read_visible(file)[0]

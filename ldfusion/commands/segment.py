"""Segment images into classes: labels and a picture of them.

For each image NAME: OUT/labels/NAME.png (8 bit, class ids) and OUT/overlay/NAME.png (the image under the colours of its
classes). OUT/legend.png and OUT/legend.json say which id and colour is which class. The weights inside the package know
the classes of MSRS (car, person, bike, curve, car stop, guardrail, colour cone, bump), on visible, infrared and fused
images. Folders stand for the images in them.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import batches, inputs, options
from ldfusion.jobs import Result, Work

if TYPE_CHECKING:
    from ldfusion.data.label_sets import LabelSet

KINDS = ("visible", "infrared")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files or folders of images")
    options.add_output(parser)
    parser.add_argument(
        "--modality",
        choices=KINDS,
        default=KINDS[0],
        help="how files are read: visible (fused images too), or infrared, of any bit depth (default: %(default)s)",
    )
    parser.add_argument(
        "--weights", metavar="DIR", default="", help="segmentation network (default: the one inside the package)"
    )
    inputs.add_thermal(parser)
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all images; 0 when every image has its results, 1 when some could not be done."""
    return batches.run_images(args, outputs, lambda: _load(args), "segmented")


def outputs(name: str) -> list[Path]:
    """The files of one image, relative to the output folder."""
    return [Path("labels", f"{name}.png"), Path("overlay", f"{name}.png")]


def _load(args: argparse.Namespace) -> Work[Path]:
    """What segments one image."""
    from ldfusion.segmentation.network import load_segmenter

    device, thermal = options.choose_device(args.device), inputs.image_options(args)
    network = load_segmenter(args.weights, device)
    write_legend = cache(lambda: _write_legend(args.output, network.classes))

    def work(name: str, file: Path) -> Result:
        from ldfusion.io.image import write_png
        from ldfusion.segmentation.overlay import overlay

        image = batches.read_image(file, args.modality, thermal)
        labels = network.segment(image[None].to(device)).cpu()

        def write(folder: Path) -> None:
            write_legend()
            for file, picture in zip(
                outputs(name), (labels / 255, overlay(image[None], labels, network.classes)[0]), strict=True
            ):
                write_png(folder / file, picture)  # the labels are stored as round(255 x): the ids

        return Result(write)

    return work


def _write_legend(output: Path, classes: LabelSet) -> None:
    from ldfusion.data.label_sets import IGNORED
    from ldfusion.io.files import atomic_write
    from ldfusion.segmentation.overlay import legend

    rows = [
        {"id": k, "name": name, "colour": list(colour)}
        for k, (name, colour) in enumerate(zip(classes.names, classes.colours, strict=True))
    ]
    with atomic_write(output / "legend.json") as file:
        file.write_text(json.dumps({"classes": rows, "ignored": IGNORED}, indent=1) + "\n", encoding="utf-8")
    with atomic_write(output / "legend.png") as file:
        legend(classes).save(file)

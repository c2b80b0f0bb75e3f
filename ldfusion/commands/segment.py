"""Segment images into classes: labels and a picture of them.

For each image NAME: OUT/labels/NAME.png (8 bit, class ids) and OUT/overlay/NAME.png (the image under the colours of its
classes). OUT/legend.png and OUT/legend.json say which id and colour is which class. The weights inside the package know
the classes of MSRS (car, person, bike, curve, car stop, guardrail, colour cone, bump), on visible, infrared and fused
images. Folders stand for the images in them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options
from ldfusion.commands.batch import for_each, named_images
from ldfusion.commands.results import add_results
from ldfusion.commands.terminal import say

if TYPE_CHECKING:
    from ldfusion.data.label_sets import LabelSet

KINDS = ("visible", "infrared")


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all images; 0 when every image has its results, 1 when some could not be done."""
    from ldfusion.io.files import check_output_folder

    images, missing = named_images(args.images)
    check_output_folder(args.output)
    files = {name: [Path("labels", f"{name}.png"), Path("overlay", f"{name}.png")] for name in images}
    todo = [name for name in images if args.overwrite or not all((args.output / f).exists() for f in files[name])]
    if len(todo) < len(images):
        say(f"{len(images) - len(todo)} kept from before (--overwrite makes them anew)")
    if not todo:
        return 1 if missing else 0
    device = options.choose_device(args.device)

    from ldfusion.segmentation.network import load_segmenter

    network = load_segmenter(args.weights, device)
    _write_legend(args.output, network.classes)

    def work(name: str) -> None:
        from ldfusion.io.image import read_infrared, read_visible, write_png
        from ldfusion.segmentation.overlay import overlay

        image = read_infrared(images[name]) if args.modality == "infrared" else read_visible(images[name])[0]
        labels = network.segment(image[None].to(device)).cpu()

        def make(folder: Path) -> None:
            write_png(folder / files[name][0], labels / 255)  # stored as round(255 x): the ids
            write_png(folder / files[name][1], overlay(image[None], labels, network.classes)[0])

        add_results(args.output, name, files[name], make, args.overwrite)

    return 1 if for_each(todo, work, "image") or missing else 0


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

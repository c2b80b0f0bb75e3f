"""Estimate the depth of images.

For each image NAME: OUT/NAME.npy (float32), OUT/NAME.png (16 bit, its text chunks say what the values are) and
OUT/NAME_color.png (a preview); with --point-cloud also OUT/NAME.ply. Depth is relative inverse depth, near = large,
unless the weights predict metres. Folders stand for the images in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options, values
from ldfusion.commands.batch import for_each, named_images
from ldfusion.commands.results import add_results, check_names, depth_files
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError

if TYPE_CHECKING:
    import torch

MODALITIES = ("visible", "infrared", "fused")
FIELD_OF_VIEW = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files or folders of images")
    options.add_output(parser)
    parser.add_argument(
        "--modality", choices=MODALITIES, default=MODALITIES[0], help="what the images show (default: %(default)s)"
    )
    parser.add_argument("--point-cloud", action="store_true", help="also write a coloured point cloud")
    parser.add_argument(
        "--fov",
        type=values.angle,
        metavar="DEG",
        help=f"horizontal field of view of the camera, for the point cloud (default: {FIELD_OF_VIEW:g} degrees)",
    )
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Estimate all images; 0 when every image has its results, 1 when some could not be done."""
    from ldfusion.io.files import check_output_folder

    if args.fov is not None and not args.point_cloud:
        raise InputError("--fov is the camera of the point cloud; add --point-cloud")
    images, missing = named_images(args.images)
    check_names(images)
    check_output_folder(args.output)

    files = {name: [*depth_files(name), *([Path(f"{name}.ply")] if args.point_cloud else [])] for name in images}
    todo = [name for name in images if args.overwrite or not all((args.output / f).exists() for f in files[name])]
    if len(todo) < len(images):
        say(f"{len(images) - len(todo)} kept from before (--overwrite makes them anew)")
    if not todo:
        return 1 if missing else 0
    twin = options.load_pipeline(args).twin
    device = options.choose_device(args.device)
    estimate = getattr(twin, args.modality)
    metric = twin.metric if args.modality == "fused" else getattr(twin, f"{args.modality}_estimator").metric

    def work(name: str) -> None:
        import torch

        image = _read(images[name], args.modality)
        with torch.no_grad():
            inverse = estimate(image[None].to(device))[0].cpu()

        def make(folder: Path) -> None:
            from depth.cloud import point_cloud, write_ply
            from depth.files import write_depth

            write_depth(folder, name, inverse, metric)
            if args.point_cloud:
                points, colors = point_cloud(inverse, image, args.fov or FIELD_OF_VIEW, metric=metric)
                write_ply(folder / f"{name}.ply", points, colors, "metres" if metric else "none (relative)")

        add_results(args.output, name, files[name], make, args.overwrite)

    return 1 if for_each(todo, work, "image") or missing else 0


def _read(file: Path, modality: str) -> torch.Tensor:
    from ldfusion.io.image import read_infrared, read_visible

    return read_infrared(file) if modality == "infrared" else read_visible(file)[0]

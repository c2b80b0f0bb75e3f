"""Estimate the depth of images.

For each image NAME: OUT/NAME.npy (float32), OUT/NAME.png (16 bit, its text chunks say what the values are) and
OUT/NAME_color.png (a preview); with --point-cloud also OUT/NAME.ply. Depth is relative inverse depth, near = large,
unless the weights predict metres. Folders stand for the images in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.commands import batches, inputs, options, values
from ldfusion.errors import InputError
from ldfusion.jobs import Result, Work

MODALITIES = ("visible", "infrared", "fused")
FIELD_OF_VIEW = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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
    inputs.add_thermal(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Estimate all images; 0 when every image has its results, 1 when some could not be done.

    Raises:
        InputError: options that do not go together.
    """
    from depth.files import depth_files

    if args.fov is not None and not args.point_cloud:
        raise InputError("--fov is the camera of the point cloud; add --point-cloud")

    def outputs(name: str) -> list[Path]:
        return [*depth_files(name), *([Path(f"{name}.ply")] if args.point_cloud else [])]

    return batches.run_images(args, outputs, lambda: _load(args), "estimated")


def _load(args: argparse.Namespace) -> Work[Path]:
    """What estimates one image."""
    twin, device = options.load_pipeline(args).twin, options.choose_device(args.device)
    thermal = inputs.image_options(args)
    estimate = getattr(twin, args.modality)
    metric = twin.metric if args.modality == "fused" else getattr(twin, f"{args.modality}_estimator").metric

    def work(name: str, file: Path) -> Result:
        import torch

        image = batches.read_image(file, args.modality, thermal)
        with torch.no_grad():
            inverse = estimate(image[None].to(device))[0].cpu()

        def write(folder: Path) -> None:
            from depth.cloud import point_cloud, write_ply
            from depth.files import write_depth

            write_depth(folder, name, inverse, metric)
            if args.point_cloud:
                points, colors = point_cloud(inverse, image, args.fov or FIELD_OF_VIEW, metric=metric)
                write_ply(folder / f"{name}.ply", points, colors, "metres" if metric else "none (relative)")

        return Result(write)

    return work

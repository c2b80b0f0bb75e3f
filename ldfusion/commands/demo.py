"""Render a scene, fuse it and say where the pictures are.

The pair is drawn by the program itself (OUT/visible, OUT/infrared), so nothing has to be downloaded; then it goes
through `ldfusion fuse`, whose help tells what else is written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.commands import options, values
from ldfusion.commands.fuse import fuse_pairs
from ldfusion.jobs import write_outputs
from ldfusion.registry import FUSION, find

LIGHTS = ("day", "dusk", "night", "smoke", "fog")
PLACES = ("street", "room")
SIZE = (480, 640)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    options.add_output(parser, default="demo")
    parser.add_argument("--light", choices=LIGHTS, default="night", help="light of the scene (default: %(default)s)")
    parser.add_argument("--place", choices=PLACES, default="street", help="kind of scene (default: %(default)s)")
    parser.add_argument("--scene", type=values.seed, metavar="N", default=0, help="number of the scene (default: 0)")
    options.add_method(parser)
    options.add_guidance(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Render, fuse, list the pictures; the exit code is that of ``ldfusion fuse``."""
    from ldfusion.io.files import output_folder
    from ldfusion.output import result_files
    from ldfusion.rendering import render_scene, write_pair

    options.check_method(args)
    options.choose_device(args.device)
    name = f"{args.place}-{args.light}-{args.scene}"
    visible, infrared = Path("visible", f"{name}.png"), Path("infrared", f"{name}.png")
    scene = render_scene(args.scene, light=args.light, place=args.place, size=SIZE, registered=True)
    with output_folder(args.output):
        write_outputs(
            args.output,
            name,
            [visible, infrared],
            lambda folder: write_pair(scene, folder, name),
            args.overwrite,
        )
        code = fuse_pairs({name: (name, args.output / visible, args.output / infrared)}, args)
    if code == 0:
        for file in (visible, infrared, *result_files(name, find(args.method, FUSION, "fusion method").describes)):
            print(args.output / file)
    return code

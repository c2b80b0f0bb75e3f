"""Fuse two cameras, streams or files as they play.

A source is the number of a camera, an address like rtsp://..., or a file, which is played at its own rate. Whenever a
frame arrives the newest of both are fused; frames that come too fast are dropped and counted. A camera or stream that
stops is opened again, and its last frame stands in until then. Every 2 s a line says how many pictures are made a
second, the latency from the arrival of a frame to its picture, and the drops. --show serves the pictures to a browser
on this computer, -o writes a video; without either only the figures are printed. It ends with ctrl-C, after --seconds,
or when two files are over.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options, values
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError

if TYPE_CHECKING:
    from ldfusion.fusion.video import FusedFrame

RATE = Fraction(30)
"""Nominal rate of a written video; each picture has its own time."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("visible", metavar="VISIBLE_SOURCE", help="camera number, address or video file")
    parser.add_argument("infrared", metavar="INFRARED_SOURCE", help="likewise")
    parser.add_argument("--show", action="store_true", help="serve the pictures to a browser on this computer")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of that page (any free one)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write a video, .mp4, .mov or .mkv")
    parser.add_argument("--overwrite", action="store_true", help="replace a video that is there")
    parser.add_argument("--seconds", type=values.duration, metavar="N", help="end after N seconds")
    parser.add_argument("--loop", action="store_true", help="play files again when they end")
    options.add_method(parser)
    parser.set_defaults(method="realtime")
    options.add_guidance(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Fuse until the end; 0, or 1 when no picture was made.

    Raises:
        InputError: the output is there already.
    """
    options.check_method(args)
    if args.output is not None and args.output.exists() and not args.overwrite:
        raise InputError(f"-o {args.output}: it is there already; give another name, or --overwrite")

    from ldfusion.fusion.live import LiveFigures, fuse_live
    from ldfusion.fusion.video import VideoFuser
    from ldfusion.io.live import open_source
    from ldfusion.io.mjpeg import PictureServer
    from ldfusion.io.video_writer import VideoWriter

    changed = threading.Condition()
    visible = open_source(args.visible, "visible", changed, args.loop)
    infrared = open_source(args.infrared, "infrared", changed, args.loop)
    fuser = VideoFuser(options.load_fusion(args), device=options.choose_device(args.device))
    figures = LiveFigures()

    def report(now: LiveFigures) -> None:
        say(now.words(visible, infrared))

    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(VideoWriter(args.output, RATE)) if args.output is not None else None
        page = stack.enter_context(PictureServer(args.port)) if args.show else None
        if page is not None:
            say(f"pictures at {page.address}")

        def show(frame: FusedFrame) -> None:
            if writer is not None or page is not None:
                pixels = frame.picture()
                if writer is not None:
                    writer.write(pixels, frame.time)
                if page is not None:
                    page.show(pixels)

        stack.enter_context(visible)
        stack.enter_context(infrared)
        with contextlib.suppress(KeyboardInterrupt):
            fuse_live(visible, infrared, fuser, show, changed, figures, args.seconds, report)
    print(f"{figures.pictures} pictures: {figures.words(visible, infrared)}")
    return 0 if figures.pictures else 1

"""Fuse a visible and an infrared video into one.

Either may be a folder of numbered frames, images of any kind that `ldfusion fuse` reads, at --rate frames a second.
Frames are matched by their times: frame rates, beginnings and sizes may differ, the shorter video ends it, and sound is
left out. FUSED.mp4 is H.264; FUSED.mp4.json says how it was made: method, frames, sentences and, with --register, every
registered frame with the transform (infrared -> visible pixels). With --register the cameras are taken to stand still
to each other: one transform for the clip, found by the edges of several frames at once and refined on the way. The
method ldfusion captions a frame every 10 s and is guided by that sentence until the next one; --prompt gives one for
all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import inputs, options, values
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError
from ldfusion.jobs import progress

if TYPE_CHECKING:
    import torch

    from ldfusion.fusion.video import Done, VideoFuser
    from ldfusion.io.video_pair import FramePair
    from ldfusion.registration.temporal import ClipRegistration

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("visible", type=Path, metavar="VISIBLE", help="visible video, or a folder of frames")
    parser.add_argument("infrared", type=Path, metavar="INFRARED", help="infrared video, or a folder of frames")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FUSED", required=True, help="the fused video, .mp4, .mov or .mkv"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a video that is there (default: keep it)")
    parser.add_argument("--register", action="store_true", help="bring the infrared onto the visible frames first")
    options.add_method(parser)
    options.add_profile(parser)
    parser.add_argument(
        "--side-by-side", action="store_true", help="show visible, infrared and fused next to each other"
    )
    parser.add_argument(
        "--start", type=values.seconds, metavar="S", default=0.0, help="begin S seconds after the first visible frame"
    )
    parser.add_argument("--seconds", type=values.duration, metavar="N", help="fuse N seconds (default: all)")
    parser.add_argument(
        "--offset",
        type=float,
        metavar="S",
        default=0.0,
        help="seconds by which a moment comes later in the infrared file than in the visible one (default: 0)",
    )
    inputs.add_rate(parser)
    inputs.add_thermal(parser)
    options.add_guidance(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Fuse; 0 when done, 1 when --register failed (the infrared is then resized), 130 when interrupted."""
    from ldfusion.io.files import output_folder
    from ldfusion.io.lock import file_lock

    options.check_method(args)
    inputs.check_rate(args)
    _check_output(args)
    if _kept(args):
        return 0
    with output_folder(args.output.parent), file_lock(args.output):
        return 0 if _kept(args) else _fuse(args)  # another run may have made it meanwhile


def _kept(args: argparse.Namespace) -> bool:
    """Whether the result is there and stays, which is then said."""
    kept = bool(args.output.exists() and not args.overwrite)
    if kept:
        say(f"{args.output} is kept from before (--overwrite makes it anew)")
    return kept


def _fuse(args: argparse.Namespace) -> int:
    from ldfusion.fusion.video import PRIMING, VideoFuser, fuse_video
    from ldfusion.io.frame_sequence import open_video
    from ldfusion.io.video_pair import PairedVideo
    from ldfusion.overlap import Profile

    thermal = inputs.thermal_options(args, [])
    with (
        open_video(args.visible, rate=args.rate) as visible,
        open_video(args.infrared, "infrared", args.rate, thermal) as infrared,
    ):
        both = PairedVideo(visible, infrared, args.offset)
        notes = both.notes()
        for line in notes:
            say(line)
        device = options.choose_device(args.device)
        fuser = VideoFuser(options.load_fusion(args), device=device)
        if args.register:
            fuser.registration = _registration(device)
            say(f"registering {PRIMING} frames from all over the clip first")
        total = both.expected(args.start, args.seconds)

        def watch(pairs: Iterable[FramePair]) -> Iterable[FramePair]:
            return progress(pairs, "frame", total=total)

        def conclude(done: Done) -> None:
            for line in both.closing_notes():
                say(line)
            _write_report(args, fuser, done, [*notes, *both.closing_notes()])

        span = args.start, args.seconds
        profile = Profile()
        done = fuse_video(both, fuser, args.output, *span, args.side_by_side, watch, conclude=conclude, profile=profile)
        if args.profile:
            say(profile.words())
    return _conclude(args, fuser, done)


def _check_output(args: argparse.Namespace) -> None:
    from ldfusion.io.video_writer import OUTPUT_SUFFIXES

    if args.output.suffix.lower() not in OUTPUT_SUFFIXES or args.output.is_dir():
        raise InputError(f"-o {args.output}: give a video file ending in {', '.join(OUTPUT_SUFFIXES)}")
    for source in (args.visible, args.infrared):
        if source.exists() and args.output.exists() and source.samefile(args.output):
            raise InputError(f"-o {args.output} is one of the sources; give another file")


def _registration(device: torch.device) -> ClipRegistration:
    from ldfusion.registration.methods import load_registrar
    from ldfusion.registration.temporal import ClipRegistration

    return ClipRegistration(*(load_registrar(name, device=device) for name in ("edges", "refine")))


def _write_report(args: argparse.Namespace, fuser: VideoFuser, done: Done, notes: list[str]) -> None:
    from ldfusion.io.files import atomic_write

    report: dict[str, Any] = {"visible": str(args.visible), "infrared": str(args.infrared), "method": args.method}
    if args.alpha is not None:
        report["alpha"] = args.alpha
    report |= {"frames": done.frames, "start": args.start, "offset": args.offset, "interrupted": done.interrupted}
    report |= {"notes": notes} | fuser.report()
    with atomic_write(args.output.with_name(f"{args.output.name}.json")) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _conclude(args: argparse.Namespace, fuser: VideoFuser, done: Done) -> int:
    registration = fuser.registration
    failed = registration is not None and not registration.trusted
    if failed and registration is not None:
        best = max((estimate.score for estimate in registration.estimates), default=0.0)
        say(
            f"error: {args.infrared} could not be registered on {args.visible} in any of {len(registration.estimates)} "
            f"frames (best score {best:.2f}); it was only resized"
        )
    speed = f"{done.frames} frames in {done.seconds:.1f} s ({done.frames / max(done.seconds, 1e-9):.2f} frames/s)"
    if done.interrupted:
        say(f"interrupted after {speed}; {args.output} plays until there (--overwrite makes it anew)")
        return INTERRUPTED
    say(f"{speed}; result in {args.output}")
    return 1 if failed else 0

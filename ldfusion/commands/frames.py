"""Make a data set of frame pairs out of a visible and an infrared video.

VISIBLE and INFRARED are two videos, two folders of videos of equal names, or two folders of numbered frames. Frames
are matched by their times and resized; dark ones are left out, with --humans also those without a human or with a bad
mask. DATASET then holds
  visible/ infrared/      NAME.png, 8 bit                (--humans: visible_mask/ infrared_mask/ object_mask/ as well)
  splits/train.txt ...    names, to train on with  data.root=DATASET data.datasets=[folder]
  manifest.jsonl          one line for every pair looked at: times, figures, kept or why not, split
A killed run goes on where it stopped when it is started again, and ends with the same files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import inputs, values
from ldfusion.commands.terminal import say
from ldfusion.jobs import progress

if TYPE_CHECKING:
    from ldfusion.data.frame_folder import MaskMaker
    from ldfusion.io.video_pair import FramePair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("visible", type=Path, metavar="VISIBLE", help="visible video, or a folder of them")
    parser.add_argument("infrared", type=Path, metavar="INFRARED", help="infrared video, or a folder of equal names")
    parser.add_argument("-o", "--output", type=Path, metavar="DATASET", required=True, help="folder of the data set")
    parser.add_argument("--overwrite", action="store_true", help="make it anew (default: go on, or keep it)")
    parser.add_argument("--size", type=size, metavar="WxH", default=(240, 320), help="of the images (320x240)")
    inputs.add_rate(parser)
    parser.add_argument("--every", type=int, metavar="N", default=1, help="take every N-th frame pair (1)")
    parser.add_argument(
        "--offset", type=float, metavar="S", default=0.0, help="seconds by which the infrared clock is ahead (0)"
    )
    parser.add_argument(
        "--dark", type=float, metavar="SHARE", default=0.95, help="largest share of values below 20 of 255 (0.95)"
    )
    parser.add_argument(
        "--split",
        type=split,
        metavar="A/B/C",
        default="8000/1000/1400",
        help="train/val/test, counts or shares like 0.8/0.1/0.1; too large counts are scaled (8000/1000/1400)",
    )
    parser.add_argument(
        "--order", choices=("random", "time"), default="random", help="how the split is drawn: at random, or by time"
    )
    parser.add_argument("--seed", type=values.seed, metavar="N", default=0, help="of the random split (0)")
    humans = parser.add_argument_group("human masks")
    humans.add_argument("--humans", action="store_true", help="keep only pairs with a human in both, and write masks")
    humans.add_argument(
        "--segmenter", default="auto", help="of the visible frames: auto, maskrcnn, deeplabv3 or own (auto)"
    )
    humans.add_argument(
        "--infrared-threshold",
        metavar="T",
        default="sequence",
        help="humans are above it: 0..255, otsu (each frame) or sequence (one Otsu threshold a video) (sequence)",
    )
    humans.add_argument(
        "--human-zero", action="store_true", help="write masks as published: human 0, background 255 (default: 255, 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the data set; 0 when it is complete."""
    from ldfusion.data.clips import find_clips
    from ldfusion.data.frame_folder import FrameFolder
    from ldfusion.data.frames import FrameRules
    from ldfusion.io.files import output_folder
    from ldfusion.io.lock import folder_lock

    rules = FrameRules(
        size=args.size,
        every=args.every,
        offset=args.offset,
        dark_share=args.dark,
        humans=args.humans,
        polarity="human-0" if args.human_zero else "human-255",
        split=args.split,
        order=args.order,
        seed=args.seed,
    )
    masks = _mask_maker(args) if args.humans else None
    about = {"masks": {"segmenter": args.segmenter, "threshold": args.infrared_threshold}} if args.humans else {}
    inputs.check_rate(args)
    clips = find_clips(args.visible, args.infrared, args.rate)
    with output_folder(args.output), folder_lock(args.output):
        folder = FrameFolder(args.output, clips, rules, about, args.overwrite)
        if folder.finished:
            say(f"{args.output} is complete from before (--overwrite makes it anew): {folder.summary()}")
            return 0
        for note in folder.build(masks, _watch):
            say(note)
        say(folder.summary())
    print(args.output)
    return 0


def _watch(pairs: Iterable[FramePair], name: str, total: int | None) -> Iterable[FramePair]:
    return progress(pairs, "frame", total=total)


def _mask_maker(args: argparse.Namespace) -> MaskMaker:
    from ldfusion.io.frame_sequence import open_video
    from ldfusion.registration.masks import MaskSource, load_segmenter, parse_threshold, sequence_threshold

    threshold = parse_threshold(args.infrared_threshold)
    segmenter = load_segmenter(args.segmenter)

    def make(infrared: Path) -> MaskSource:
        level: Any = threshold
        if threshold == "sequence":
            with open_video(infrared, "infrared", args.rate) as reader:
                level = sequence_threshold(
                    frame.tensor() for k, frame in enumerate(reader.frames()) if k % args.every == 0
                )
        return MaskSource(segmenter, level)

    return make


def size(text: str) -> tuple[int, int]:
    """Parse ``320x240``, width first, as (height, width)."""
    try:
        width, height = (int(word) for word in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 32:
        raise argparse.ArgumentTypeError(f"'{text}': expected WIDTHxHEIGHT of 32 pixels or more, like 320x240")
    return height, width


def split(text: str) -> tuple[float, float, float]:
    """Parse ``8000/1000/1400`` or ``0.8/0.1/0.1``."""
    try:
        train, val, test = (float(word) for word in text.split("/"))
    except ValueError:
        train = val = test = -1.0
    if min(train, val, test) < 0 or train == 0 or max(train, val, test) == float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}': expected TRAIN/VAL/TEST, like 8000/1000/1400 or 0.8/0.1/0.1")
    return train, val, test

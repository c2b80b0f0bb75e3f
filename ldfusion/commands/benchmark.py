"""Measure how fast fusion methods are on this machine, and how much memory they take.

All methods take turns in one run, so that a busy machine slows all alike; printed are medians, the quickest and the
slowest round, images a second, how many times quicker than one pass of the GRDB network (seafusion), and the memory of
a process that does nothing else. NAME@onnx is the method NAME by ONNX Runtime. --plot draws quality against time: the
quality is read from the table.json of 'scripts/benchmark.py fusion -o DIR'.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ldfusion.commands.terminal import say
from ldfusion.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--size", nargs="+", default=["640x480"], metavar="WxH", help="sizes, or 'all': 320x240 to 3840x2160 (640x480)"
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of every operation (2)")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="fusion methods (the fast ones and seafusion)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="timed rounds (7)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory, which starts processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write quality against time, .svg")
    parser.add_argument("--quality", type=Path, metavar="FILE", help="table.json with the quality of the methods")
    parser.add_argument("--published", type=Path, metavar="FILE", help="published methods, see docs/published.json")


def run(args: argparse.Namespace) -> int:
    """Measure and print; 0 when done.

    Raises:
        InputError: options that do not go together, or out of range.
    """
    if args.plot is not None and args.quality is None:
        raise InputError("--plot needs --quality FILE: the table.json of 'scripts/benchmark.py fusion -o DIR'")
    if args.threads < 1 or args.rounds < 1:
        raise InputError("--threads and --rounds: give whole numbers from 1 up")

    from ldfusion.benchmarks import method_speed, quality_time
    from ldfusion.commands.options import be_quiet
    from ldfusion.io.files import atomic_write

    be_quiet()
    quality = quality_time.read_quality(args.quality) if args.quality is not None else {}
    published = quality_time.read_published(args.published) if args.published is not None else []
    sizes = method_speed.SIZES if args.size == ["all"] else args.size
    rows = method_speed.measure(args.methods or method_speed.METHODS, sizes, args.threads, args.rounds)
    if not args.no_memory:
        rows = method_speed.with_memory(rows, args.threads)
    print(method_speed.table(rows, args.threads))
    if args.json is not None:
        with atomic_write(args.json) as temporary:
            text = json.dumps(method_speed.as_dict(rows, args.threads), indent=1)
            temporary.write_text(f"{text}\n", encoding="utf-8")
    if args.plot is not None:
        quality_time.plot(rows, quality, published, args.plot)
        say(f"plot in {args.plot}")
    return 0

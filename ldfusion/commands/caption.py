"""Say in a sentence what is where and how far, from a pair and its depth.

VISIBLE and INFRARED are two files, or two folders whose files are matched by name without suffix. One line a pair on
standard output; with --json a JSON object with name, caption and the facts that were read from the caption.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ldfusion.commands import batches, inputs, options
from ldfusion.jobs import Job, Result

if TYPE_CHECKING:
    from ldfusion.io.pairing import NamedPair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    inputs.add_pair(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a pair")
    inputs.add_thermal(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Caption all pairs; 0 when every pair has its line, 1 when some could not be done."""
    pairs = batches.read_pairs(args)
    pipe = options.load_pipeline(args)
    thermal = inputs.thermal_options(args, [pair[2] for pair in pairs.values()])  # as they are fused

    from ldfusion.loading import load_pair

    def work(name: str, files: NamedPair) -> Result:
        loaded = load_pair(files[1], files[2], options=thermal)
        found = pipe.caption(loaded.visible, loaded.infrared)[0]
        if args.json:
            print(json.dumps({"name": name, **found}, ensure_ascii=False), flush=True)
        else:
            print(found["caption"] if len(pairs) == 1 else f"{name}: {found['caption']}", flush=True)
        return Result()

    return Job(pairs).run(lambda: work).exit_code

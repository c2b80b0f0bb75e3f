"""Prepare training data: ``prepare_data.py depth`` makes the pseudo-labels of the depth and fusion stages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Parse, find the pairs, label them."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    depth = commands.add_parser("depth", help="teacher's depth of every image; resumable")
    depth.add_argument(
        "--teacher", required=True, help="folder or hub id, e.g. depth-anything/Depth-Anything-V2-Small-hf"
    )
    depth.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    depth.add_argument("--datasets", nargs="+", default=["roadscene", "msrs"], help="rows of datasets.yaml")
    depth.add_argument("--split", default="", help="split file below --data (default: every pair)")
    depth.add_argument("--short-side", type=int, default=518, help="short side of the teacher's input, pixels")
    depth.add_argument("--half", action="store_true", help="run the teacher in bfloat16")
    depth.add_argument("--device", default="cpu")
    depth.add_argument("-o", "--output", type=Path, required=True, help="folder of the labels (data.labels)")
    args = parser.parse_args(argv)

    from ldfusion.data.catalog import select_pairs
    from ldfusion.errors import LDFusionError

    try:
        pairs = select_pairs(args.data, args.datasets, args.split)
        from ldfusion.data.pseudo_depth import make_depth_labels

        made = make_depth_labels(pairs, args.teacher, args.output, args.short_side, args.device, args.half)
    except LDFusionError as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{made} labels made, {2 * len(pairs) - made} there before; in {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

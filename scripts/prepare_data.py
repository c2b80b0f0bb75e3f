"""Prepare training data: ``depth`` makes the pseudo-labels of the depth and fusion stages, ``fusion`` the pipeline's
coefficients for the stage realtime, ``align`` moves the infrared images of sets that are registered almost to where
they should be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Parse and do it."""
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
    fusion = commands.add_parser("fusion", help="coefficients that the full pipeline finds for every pair; resumable")
    fusion.add_argument("--weights", help="pipeline folder or hub id (default: embedded)")
    fusion.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    fusion.add_argument("--datasets", nargs="+", default=["roadscene", "msrs"], help="rows of datasets.yaml")
    fusion.add_argument("--split", default="splits/train.txt", help="split file below --data")
    fusion.add_argument("--device", default="cpu")
    fusion.add_argument("-o", "--output", type=Path, required=True, help="folder of the labels (data.labels)")
    align = commands.add_parser("align", help="infrared images onto the visible ones of the same rig; resumable")
    align.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    align.add_argument("--datasets", nargs="+", default=["msrs"], help="rows of datasets.yaml; the others are linked")
    align.add_argument("-o", "--output", type=Path, required=True, help="folder of the aligned data sets (data.root)")
    args = parser.parse_args(argv)
    return {"align": _align, "depth": _depth, "fusion": _fusion}[args.what](args)


def _depth(args: argparse.Namespace) -> int:
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


def _fusion(args: argparse.Namespace) -> int:
    from ldfusion.data.catalog import select_pairs
    from ldfusion.data.labels import read_captions
    from ldfusion.errors import LDFusionError
    from ldfusion.training.teacher import make_teacher_grids

    try:
        pairs = select_pairs(args.data, args.datasets, args.split)
        known = args.data / "captions.jsonl"
        records = read_captions(known) if known.is_file() else None
        made = make_teacher_grids(pairs, args.weights, args.output, records, args.device)
    except LDFusionError as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{made} made, {len(pairs) - made} there before; in {args.output}")
    return 0


def _align(args: argparse.Namespace) -> int:
    from ldfusion.errors import LDFusionError
    from ldfusion.registration.datasets import align_datasets

    try:
        for dataset, found in align_datasets(args.data, args.datasets, args.output).items():
            own = sum(pair["believed"] for pair in found["pairs"].values())
            print(f"{dataset}: {len(found['pairs'])} pairs aligned, {own} of them with a shift of their own")
    except LDFusionError as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Regenerate the published tables: speed, fusion metrics, depth, captions, language, ablation."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Parse, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default=None, help="pipeline folder or hub id (default: embedded)")
    commands = parser.add_subparsers(dest="what", required=True)
    speed = commands.add_parser("speed", help="every step against one pass of the GRDB network, on a rendered pair")
    speed.add_argument("--size", default="640x480", help="WIDTHxHEIGHT")
    speed.add_argument("--threads", type=int, default=2)
    for name in ("fusion", "depth", "captions", "language"):
        commands.add_parser(name, help=f"{name} on the validation pairs").add_argument(
            "--data", type=Path, required=True
        )
    for name in ("depth", "language"):
        commands.choices[name].add_argument("--labels", type=Path, required=True, help="of prepare_data.py depth")
    ablation = commands.add_parser("ablation", help="train and validate the variants of the fusion network")
    ablation.add_argument("--config", default="configs/fusion.yaml")
    ablation.add_argument("-o", "--output", type=Path, required=True)
    ablation.add_argument("overrides", nargs="*")
    registration = commands.add_parser("registration", help="registration methods on real and warped pairs")
    registration.add_argument("--data", type=Path, required=True)
    registration.add_argument("--methods", nargs="+", help="some of them (default: all)")
    registration.add_argument("--sets", nargs="+", help="val, other, warped, strangers (default: all)")
    registration.add_argument("--threads", type=int, default=2)
    registration.add_argument("--limit", type=int, default=0, help="pairs of each set (default: all)")
    registration.add_argument("-o", "--output", type=Path, help="JSON file for the figures of every pair")
    registered = commands.add_parser(
        "registered-fusion", help="fusing raw pairs with --register against registered ones"
    )
    registered.add_argument("--data", type=Path, required=True)
    registered.add_argument("--limit", type=int, default=0, help="pairs (default: all)")
    inputs = commands.add_parser("registration-inputs", help="the papers' finding: grey, contours or masks")
    inputs.add_argument("--data", type=Path, required=True)
    inputs.add_argument("-o", "--output", type=Path, required=True)
    inputs.add_argument("overrides", nargs="*", help="of every run, e.g. train.steps=400")
    video = commands.add_parser("video", help="three clips with a known misalignment, registered and fused end to end")
    video.add_argument("--data", type=Path, required=True)
    video.add_argument("-o", "--output", type=Path, required=True, help="folder of the videos")
    video.add_argument("--seconds", type=float, default=3.0, help="of each clip")
    video.add_argument("--registration", nargs="+", default=["edges", "refine"], help="methods, tried in turn")
    video.add_argument("--methods", nargs="+", default=["laplacian", "zero-learning", "ldfusion"])
    args = parser.parse_args(argv)

    from ldfusion.errors import LDFusionError

    try:
        print(_measure(args))
    except LDFusionError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure(args: argparse.Namespace) -> str:
    if args.what == "ablation":
        from ldfusion.training.ablation import ablate, table

        args.output.mkdir(parents=True, exist_ok=True)
        return table(ablate(args.config, args.output, args.overrides))
    if args.what == "registration-inputs":
        from ldfusion.training import registration_inputs

        args.output.mkdir(parents=True, exist_ok=True)
        words = [f"data.root={args.data}", *args.overrides]
        return registration_inputs.table(registration_inputs.study(args.output, words))
    if args.what == "video":
        from ldfusion.evaluation.video import load_methods, measure_clips, render_rows
        from ldfusion.registration import load_registrar

        methods, registrars = load_methods(args.methods), [load_registrar(name) for name in args.registration]
        return render_rows(measure_clips(args.data, methods, registrars, args.seconds, args.output), args.seconds)
    if args.what == "registration":
        from ldfusion.evaluation.registration_tables import REGISTRARS, SETS, registration_tables

        chosen = args.methods or list(REGISTRARS), args.sets or list(SETS)
        return registration_tables(args.data, *chosen, args.threads, args.limit, args.output)
    from ldfusion import weights
    from ldfusion.evaluation import benchmarks
    from ldfusion.evaluation.report import render
    from ldfusion.pipeline import LDFusionPipeline

    pipe = LDFusionPipeline.from_pretrained(args.weights)
    if args.what == "speed":
        from ldfusion.evaluation.speed import speed_table

        return speed_table(pipe, args.size, args.threads)
    if args.what == "registered-fusion":
        from ldfusion.evaluation.registration_tables import registered_fusion_table

        return registered_fusion_table(pipe, args.data, args.limit)
    if args.what == "fusion":
        return render(benchmarks.fusion_table(pipe, args.data))
    if args.what == "depth":
        rows = benchmarks.depth_rows(pipe, args.data, args.labels)
    elif args.what == "language":
        rows = benchmarks.language_rows(pipe, args.data, args.labels, Path(args.weights or weights.FOLDER))
    else:
        rows = benchmarks.caption_rows(pipe, args.data)
    return "\n".join(f"{name:40} {value:.4f}" for name, value in rows.items())


if __name__ == "__main__":
    sys.exit(main())

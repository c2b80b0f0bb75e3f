"""Tables that compare methods without training the main pipeline: metrics, tasks, registration, video."""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.benchmarks.base import Benchmark, add_data, add_labels, add_run


def _metrics_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="first pairs only")


def _metrics(args: argparse.Namespace) -> str:
    from ldfusion.evaluation.metric_speed import metric_table

    return metric_table(args.data, Path(__file__).resolve().parents[2], args.threads, args.limit)


def _tasks_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_labels(parser, required=False)
    parser.add_argument("--tasks", default="segmentation,detection,depth")
    parser.add_argument("--methods", default=None, help="names with commas between (default: all)")
    parser.add_argument("--detector", default=None, help="folder, torchvision:NAME or hub:ID (default: embedded)")
    parser.add_argument("--train-limit", type=int, default=0, help="training pairs of the segmentation network; 0: all")
    parser.add_argument("--scenes", type=int, default=32, help="rendered scenes of each light to judge depth by")
    parser.add_argument("--train-scenes", type=int, default=128, help="the same, to re-train depth on; 0: not at all")
    add_run(parser, "[segmentation:|depth:]KEY=VALUE words for the trainings")


def _tasks(args: argparse.Namespace) -> str:
    from ldfusion.evaluation.tasks.benchmark import METHODS, TaskBenchmark, task_table

    benchmark = TaskBenchmark(
        data=args.data,
        output=args.output,
        labels=args.labels,
        overrides=args.overrides,
        train_limit=args.train_limit,
        scenes=args.scenes,
        train_scenes=args.train_scenes,
        tasks=args.tasks.split(","),
        detector=args.detector,
    )
    return task_table(benchmark, METHODS if args.methods is None else tuple(args.methods.split(",")))


def _registration_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--methods", nargs="+", help="some of them (default: all)")
    parser.add_argument("--sets", nargs="+", help="val, other, warped, strangers (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="pairs of each set (default: all)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures of every pair")


def _registration(args: argparse.Namespace) -> str:
    from ldfusion.evaluation.registration_tables import REGISTRARS, SETS, registration_tables

    chosen = args.methods or list(REGISTRARS), args.sets or list(SETS)
    return registration_tables(args.data, *chosen, args.threads, args.limit, args.output)


def _video_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the videos")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each clip")
    parser.add_argument("--registration", nargs="+", default=["edges", "refine"], help="methods, tried in turn")
    parser.add_argument("--methods", nargs="+", default=["laplacian", "zero-learning", "ldfusion"])


def _video(args: argparse.Namespace) -> str:
    from ldfusion.evaluation.video import load_methods, measure_clips, render_rows
    from ldfusion.registration import load_registrar

    methods, registrars = load_methods(args.methods), [load_registrar(name) for name in args.registration]
    return render_rows(measure_clips(args.data, methods, registrars, args.seconds, args.output), args.seconds)


def _segmentation_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--networks", nargs="+", default=[""], help="folders (default: the embedded network)")
    parser.add_argument("--sources", nargs="+", default=["visible", "infrared", "laplacian"], help="kinds of images")


def _segmentation(args: argparse.Namespace) -> str:
    from ldfusion.evaluation.segmentation import segmentation_table

    return segmentation_table(args.data, args.networks, args.sources)


BENCHMARKS = {
    "segmentation": Benchmark(
        "segmentation networks on the validation pairs with true masks", _segmentation_arguments, _segmentation
    ),
    "metrics": Benchmark("the six metrics of the validation pairs, beside plain NumPy", _metrics_arguments, _metrics),
    "tasks": Benchmark("segmentation, detection and depth of every fusion method", _tasks_arguments, _tasks),
    "registration": Benchmark("registration methods on real and warped pairs", _registration_arguments, _registration),
    "video": Benchmark(
        "three clips with a known misalignment, registered and fused end to end", _video_arguments, _video
    ),
}

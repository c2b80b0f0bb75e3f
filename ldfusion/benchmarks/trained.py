"""Tables that train: the ablation, the papers' finding on registration inputs, the strategies of SeAFusion."""

from __future__ import annotations

import argparse
from pathlib import Path

from ldfusion.benchmarks.base import Benchmark, add_data, add_run


def _ablation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="configs/fusion.yaml")
    parser.add_argument("--variants", help="names with semicolons between (default: all)")
    add_run(parser)


def _ablation(args: argparse.Namespace) -> str:
    from ldfusion.training.ablation import VARIANTS, ablate, table

    args.output.mkdir(parents=True, exist_ok=True)
    variants = VARIANTS if args.variants is None else args.variants.split(";")
    return table(ablate(args.config, args.output, args.overrides, tuple(variants)))


def _inputs_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_run(parser, "of every run, e.g. train.steps=400")


def _inputs(args: argparse.Namespace) -> str:
    from ldfusion.training import registration_inputs

    args.output.mkdir(parents=True, exist_ok=True)
    return registration_inputs.table(
        registration_inputs.study(args.output, [f"data.root={args.data}", *args.overrides])
    )


def _strategies_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--config", type=Path, default=Path("configs/seafusion.yaml"))
    parser.add_argument("--segmentation-config", type=Path, default=Path("configs/segmentation.yaml"))
    add_run(parser, "KEY=VALUE for both, or segmentation:KEY=VALUE for one")


def _strategies(args: argparse.Namespace) -> str:
    from ldfusion.training.strategies import compare_strategies, strategy_table

    configs = {"seafusion": args.config, "segmentation": args.segmentation_config}
    return strategy_table(compare_strategies(configs, args.output, [f"data.root={args.data}", *args.overrides]))


BENCHMARKS = {
    "ablation": Benchmark("train and validate the variants of the fusion network", _ablation_arguments, _ablation),
    "registration-inputs": Benchmark(
        "the papers' finding: grey, contours or masks as input", _inputs_arguments, _inputs
    ),
    "seafusion-strategies": Benchmark(
        "train SeAFusion's strategies, judge them by segmentation", _strategies_arguments, _strategies
    ),
}

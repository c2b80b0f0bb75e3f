"""Tables about one pipeline: time, depth, captions, language, fusion of registered pairs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.benchmarks.base import Benchmark, add_data, add_labels

if TYPE_CHECKING:
    from ldfusion.pipeline import LDFusionPipeline


def _lines(rows: dict[str, float]) -> str:
    return "\n".join(f"{name:40} {value:.4f}" for name, value in rows.items())


def _with_pipeline(run: Callable[[LDFusionPipeline, argparse.Namespace], str]) -> Callable[[argparse.Namespace], str]:
    def loaded(args: argparse.Namespace) -> str:
        from ldfusion.pipeline import LDFusionPipeline

        return run(LDFusionPipeline.from_pretrained(args.weights), args)

    return loaded


def _speed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT of the pair")
    parser.add_argument("--reference", default="640x480", help="WIDTHxHEIGHT that the GRDB network is timed at")
    parser.add_argument("--threads", type=int, default=2)


def _data_and_labels(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_labels(parser)


def _registered_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--limit", type=int, default=0, help="pairs (default: all)")


def _speed(pipe: LDFusionPipeline, args: argparse.Namespace) -> str:
    from ldfusion.evaluation.speed import speed_table

    return speed_table(pipe, args.size, args.threads, reference=args.reference)


def _depth(pipe: LDFusionPipeline, args: argparse.Namespace) -> str:
    from ldfusion.benchmarks.rows import depth_rows

    return _lines(depth_rows(pipe, args.data, args.labels))


def _captions(pipe: LDFusionPipeline, args: argparse.Namespace) -> str:
    from ldfusion.benchmarks.rows import caption_rows

    return _lines(caption_rows(pipe, args.data))


def _language(pipe: LDFusionPipeline, args: argparse.Namespace) -> str:
    from ldfusion import weights
    from ldfusion.benchmarks.rows import language_rows

    return _lines(language_rows(pipe, args.data, args.labels, Path(args.weights or weights.FOLDER)))


def _registered_fusion(pipe: LDFusionPipeline, args: argparse.Namespace) -> str:
    from ldfusion.evaluation.registration_tables import registered_fusion_table

    return registered_fusion_table(pipe, args.data, args.limit)


BENCHMARKS = {
    "speed": Benchmark(
        "every step against one pass of the GRDB network, on a rendered pair", _speed_arguments, _with_pipeline(_speed)
    ),
    "depth": Benchmark("depth against the teacher on the validation pairs", _data_and_labels, _with_pipeline(_depth)),
    "captions": Benchmark("captions of the validation pairs", add_data, _with_pipeline(_captions)),
    "language": Benchmark("right captions against wrong ones", _data_and_labels, _with_pipeline(_language)),
    "registered-fusion": Benchmark(
        "fusing raw pairs with --register against registered ones",
        _registered_arguments,
        _with_pipeline(_registered_fusion),
    ),
}

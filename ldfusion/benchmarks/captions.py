"""The pipeline's own captions of the validation pairs, beside those of a constant baseline."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioning.evaluate import FrequentCaption, caption_scores
from ldfusion.benchmarks.base import add_data, lines, read_validation
from ldfusion.config import DataConfig
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_captions
from ldfusion.pipeline import LDFusionPipeline

add_arguments = add_data


def caption_rows(pipe: LDFusionPipeline, root: Path) -> dict[str, float]:
    """Scores of the pipeline's own captions on the validation pairs, beside the constant baseline's."""
    data = DataConfig(root=str(root))
    records = read_captions(root / data.captions)
    training = [records[f.name] for f in select_pairs(root, data.datasets, data.train_split)]
    baseline = FrequentCaption(training, pipe.captioner.vocabulary)

    def batches() -> Iterator[dict[str, Any]]:
        for files, pair in read_validation(root):
            v, i = pair.visible, pair.infrared
            depths = {"depth_visible": pipe.twin.visible(v), "depth_infrared": pipe.twin.infrared(i)}
            record = records[files.name]
            yield {"visible": v, "infrared": i, **depths, "facts": [record], "captions": [record["captions"]]}

    scores, _ = caption_scores(pipe.captioner, batches(), baseline)
    return {
        f"{style}, {name}, {who}": value
        for style, both in scores.items()
        for name in both["network"]
        for who, value in ((w, both[w][name]) for w in ("network", "baseline"))
    }


def run(args: argparse.Namespace) -> str:
    """The figures as text."""
    return lines(caption_rows(LDFusionPipeline.from_pretrained(args.weights), args.data))

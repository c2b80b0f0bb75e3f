"""Right captions against wrong ones: does the sentence matter to the fused image?"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from ldfusion import weights as embedded
from ldfusion.benchmarks.base import add_data, add_labels, lines
from ldfusion.config import DataConfig, Experiment
from ldfusion.data.pairs import build_dataset, validation_loader
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.training.stages.fusion import FusionStage


def language_rows(pipe: LDFusionPipeline, root: Path, labels: Path, weights: Path) -> dict[str, float]:
    """Losses under the right and under a wrong caption, and how much brighter the targets named only in the right are.

    Measured on the validation frames at 256x192 by the fusion stage's own validation.

    Args:
        weights: folder of the pipeline.
    """
    data = DataConfig(root=str(root), labels=str(labels), crop=[192, 256])
    parts = {name: str(weights / name) for name in ("denoiser", "depth_visible", "depth_infrared")}
    stage = FusionStage(Experiment(model={**parts, "text": str(weights / "text_encoder")}, data=data))
    dataset = build_dataset(data, 0, False, **stage.dataset_options)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        figures = stage.validate(pipe.fuser, validation_loader(dataset), Path(folder))
    return {name: value for name, value in figures.items() if "/" in name or name == "lift_of_named"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_labels(parser)


def run(args: argparse.Namespace) -> str:
    """The figures as text."""
    pipe = LDFusionPipeline.from_pretrained(args.weights)
    return lines(language_rows(pipe, args.data, args.labels, Path(args.weights or embedded.FOLDER)))

"""Right captions against wrong ones: does the sentence matter to the fused image?"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ldfusion import weights as embedded
from ldfusion.benchmarks.base import add_data, add_labels, lines
from ldfusion.config import DataConfig, Experiment
from ldfusion.data.pairs import build_dataset, validation_loader
from ldfusion.diffusion.denoiser import seeded_noise
from ldfusion.fusion.losses import emphasis
from ldfusion.io.color import luma
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.training.stages.fusion import FusionStage

PROMPTED = ("car", "person")
"""Targets that are asked for, in the order of the mask ids 1, 2."""
SMALLEST = 50.0
"""Targets of less than this, in pixels weighed by their thermal signature, do not count."""


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
    chosen = {name: value for name, value in figures.items() if "/" in name or name == "lift_of_named"}
    return chosen | prompt_rows(pipe, validation_loader(dataset))


@torch.no_grad()
def prompt_rows(pipe: LDFusionPipeline, batches: Iterable[dict[str, Any]]) -> dict[str, float]:
    """How much brighter the warm parts of cars and people are when they are asked for than when the others are.

    Returns:
        ``prompt/car``, ``prompt/person``: difference on the targets, weighed by their thermal signature
        (`ldfusion.fusion.losses.emphasis`), mean over the pairs that have them, grey levels of 255;
        ``prompt/elsewhere``:
        mean absolute difference over whole images.
    """
    features = {target: pipe.text_encoder.encode([f"highlight the {target}"]) for target in PROMPTED}
    found: dict[str, list[float]] = {}
    for batch in batches:
        shape = pipe.fuser.working_shape(*batch["visible"].shape[-2:])
        noise = seeded_noise(batch["visible"].new_empty(1, 4, *shape), batch["seed"])
        pair = batch["visible"], batch["infrared"]
        first, second = (255 * luma(pipe.fuser.fuse(*pair, features[target], noise)) for target in PROMPTED)
        found.setdefault("prompt/elsewhere", []).append((first - second).abs().mean().item())
        for k, (target, change) in enumerate(zip(PROMPTED, (first - second, second - first), strict=True)):
            weight = emphasis(batch["infrared"], batch["mask"], torch.eye(len(PROMPTED))[k : k + 1], 1.0)
            if weight.sum() > SMALLEST:
                found.setdefault(f"prompt/{target}", []).append(((weight * change).sum() / weight.sum()).item())
    return {name: sum(values) / len(values) for name, values in found.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_labels(parser)


def run(args: argparse.Namespace) -> str:
    """The figures as text."""
    pipe = LDFusionPipeline.from_pretrained(args.weights)
    return lines(language_rows(pipe, args.data, args.labels, Path(args.weights or embedded.FOLDER)))

"""The measurements behind the published tables; ``scripts/benchmark.py`` prints them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from captioning.evaluate import FrequentCaption, caption_scores
from depth.metrics import spearman
from ldfusion.config import DataConfig
from ldfusion.data.catalog import PairFiles, select_pairs
from ldfusion.data.labels import read_captions, read_depth_label, teacher_of
from ldfusion.data.pairs import build_dataset, validation_loader
from ldfusion.io.size import resize
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration.align import load_pair
from ldfusion.training.stages.fusion import FusionStage


def validation_pairs(root: Path) -> list[PairFiles]:
    """The RoadScene and MSRS pairs of the validation split (49 in the shared data), in its order."""
    data = DataConfig(root=str(root))
    return select_pairs(root, data.val_datasets, data.val_split)


def _pairs(root: Path) -> Iterator[tuple[PairFiles, Tensor, Tensor]]:
    for files in validation_pairs(root):
        pair = load_pair(files.visible, files.infrared, files.name)
        yield files, pair.visible, pair.infrared


def depth_rows(pipe: LDFusionPipeline, root: Path, labels: Path) -> dict[str, float]:
    """Mean Spearman correlation with the teacher on the validation pairs.

    ``fused`` compares the depth of the fused image with the mean of the teacher's standardised maps of both sources;
    so do ``visible alone`` and ``infrared alone`` for the students' maps of the single sources.
    """
    rows: dict[str, list[float]] = {}
    for files, v, i in _pairs(root):
        teacher = {
            m: torch.from_numpy(read_depth_label(labels, files.name, m))[None, None] for m in ("visible", "infrared")
        }
        out = pipe(v, i)
        size = (teacher["visible"].shape[-2], teacher["visible"].shape[-1])
        both = teacher_of(teacher["visible"], teacher["infrared"])
        for name, prediction, target in (
            ("visible student", out.depth_visible, teacher["visible"]),
            ("infrared student", out.depth_infrared, resize(teacher["infrared"], size)),
            ("visible alone, both teachers", out.depth_visible, both),
            ("infrared alone, both teachers", out.depth_infrared, both),
            ("fused image, both teachers", out.depth, both),
        ):
            rows.setdefault(name, []).append(spearman(resize(prediction, size), target).item())
    return {name: sum(values) / len(values) for name, values in rows.items()}


def caption_rows(pipe: LDFusionPipeline, root: Path) -> dict[str, float]:
    """Scores of the pipeline's own captions on the validation pairs, beside the constant baseline's."""
    data = DataConfig(root=str(root))
    records = read_captions(root / data.captions)
    training = [records[f.name] for f in select_pairs(root, data.datasets, data.train_split)]
    baseline = FrequentCaption(training, pipe.captioner.vocabulary)

    def batches() -> Iterator[dict[str, Any]]:
        for files, v, i in _pairs(root):
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


def language_rows(pipe: LDFusionPipeline, root: Path, labels: Path, weights: Path) -> dict[str, float]:
    """Losses under the right and under a wrong caption, and how much brighter the targets named only in the right are.

    Measured on the validation frames at 256x192 by the fusion stage's own validation.

    Args:
        weights: folder of the pipeline.
    """
    data = DataConfig(root=str(root), labels=str(labels), crop=[192, 256])
    parts = {name: str(weights / name) for name in ("denoiser", "depth_visible", "depth_infrared")}
    stage = FusionStage({**parts, "text": str(weights / "text_encoder")}, {}, data)
    dataset = build_dataset(data, 0, False, **stage.dataset_options)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        figures = stage.validate(pipe.fuser, validation_loader(dataset), Path(folder))
    return {name: value for name, value in figures.items() if "/" in name or name == "lift_of_named"}

"""Depth of the sources and of fused images against the teacher's, on the validation pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from depth.metrics import spearman
from ldfusion.benchmarks.base import add_data, add_labels, lines, read_validation
from ldfusion.data.labels import read_depth_label, teacher_of
from ldfusion.io.size import resize
from ldfusion.pipeline import LDFusionPipeline


def depth_rows(pipe: LDFusionPipeline, root: Path, labels: Path) -> dict[str, float]:
    """Mean Spearman correlation with the teacher on the validation pairs.

    ``fused`` compares the depth of the fused image with the mean of the teacher's standardised maps of both sources;
    so do ``visible alone`` and ``infrared alone`` for the students' maps of the single sources.
    """
    rows: dict[str, list[float]] = {}
    for files, pair in read_validation(root):
        v, i = pair.visible, pair.infrared
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_labels(parser)


def run(args: argparse.Namespace) -> str:
    """The figures as text."""
    return lines(depth_rows(LDFusionPipeline.from_pretrained(args.weights), args.data, args.labels))

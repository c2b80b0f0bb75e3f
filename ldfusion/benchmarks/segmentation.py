"""Segmentation networks on the sources and on fused images of validation pairs with true masks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from ldfusion.benchmarks.base import add_data
from ldfusion.config import DataConfig
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.errors import InputError
from ldfusion.evaluation.report import Cells, markdown
from ldfusion.fusion.methods import load_method
from ldfusion.segmentation.metrics import SegmentationScore
from ldfusion.segmentation.network import load_segmenter
from ldfusion.training.stages.segmentation import SENSORS, labels_of, source_image

SOURCES = (*SENSORS, "laplacian")


@torch.no_grad()
def segmentation_table(
    root: str | Path, networks: Sequence[str] = ("",), sources: Sequence[str] = SOURCES, dataset: str = "msrs"
) -> str:
    """IoU in % of every network on every kind of image, over the validation pairs of a set with true masks.

    A network of the first classes alone is judged on these: the others are background to it.

    Args:
        root: folder of the data sets.
        networks: folders; the empty name is the embedded one.
        sources: ``visible``, ``infrared`` or names of fusion methods.
        dataset: whose pairs.

    Raises:
        InputError: no true masks there, an unknown source, or no network.
    """
    data = DataConfig(root=str(root), val_datasets=[dataset])
    pairs = build_dataset(data, 0, False, masks=True, native=True)
    if not all(files.label_set == "msrs" for files in pairs.files):
        raise InputError(f"{root}: no true masks of '{dataset}'; a network is not judged by pseudo-masks")
    methods = {name: load_method(name) for name in sources if name not in SENSORS}
    loaded = {name or "embedded": load_segmenter(name) for name in networks}
    scores = {(name, source): SegmentationScore(net.classes) for name, net in loaded.items() for source in sources}
    for index in tqdm(range(len(pairs)), unit="pair", desc="segmentation", disable=None):
        batch = collate([pairs[index]])
        images = {source: source_image(batch, source, methods) for source in sources}
        for (name, source), score in scores.items():
            labels, _ = labels_of(batch, loaded[name].classes)
            score.add(loaded[name].segment(images[source]), labels)
    classes = max((net.classes.names for net in loaded.values()), key=len)
    cells: Cells = [["network", "images", "mIoU", *classes]]
    for (name, source), score in scores.items():
        iou = score.iou()
        figures = [score.figures()["mIoU"], *(iou.get(each) for each in classes)]
        cells.append([name, source, *("-" if value is None else f"{100 * value:.1f}" for value in figures)])
    return markdown(cells)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("--networks", nargs="+", default=[""], help="folders (default: the embedded network)")
    parser.add_argument("--sources", nargs="+", default=["visible", "infrared", "laplacian"], help="kinds of images")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    return segmentation_table(args.data, args.networks, args.sources)

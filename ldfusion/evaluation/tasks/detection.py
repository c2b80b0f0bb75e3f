"""Average precision of detections (COCO rules), by torchmetrics with the `faster-coco-eval` backend."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from ldfusion.data.boxes import BOX_CLASSES, LabelBox
from ldfusion.detection.base import Detections
from ldfusion.errors import InputError

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Overlaps from which a detection counts as right; AP is the mean over them."""
SHOWN = {"AP50": 0.5, "AP70": 0.7, "AP90": 0.9}
"""Column of the table -> overlap, those of SeAFusion's table 4."""
BACKEND: Final = "faster_coco_eval"


class Truth(NamedTuple):
    """Objects that are there: boxes (n, 4) in pixel edges, labels (n,) int64."""

    boxes: Tensor
    labels: Tensor


def truth_of(rows: Tensor) -> Truth:
    """From rows (n, 5 or more): x1, y1, x2, y2, class id (see `ldfusion.data.boxes.to_array`)."""
    return Truth(rows[:, :4].float(), rows[:, 4].long())


def clip_truth(boxes: Iterable[LabelBox], width: int, height: int) -> tuple[list[LabelBox], list[LabelBox]]:
    """Boxes cut at the borders of the image, and those that lie outside of it altogether."""
    inside, outside = [], []
    for box in boxes:
        x1, y1, x2, y2 = box.xyxy
        cut = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        if cut[0] < cut[2] and cut[1] < cut[3]:
            inside.append(LabelBox(box.label, cut, box.seen, box.score))
        else:
            outside.append(box)
    return inside, outside


def average_precision(found: Sequence[Detections], truth: Sequence[Truth]) -> dict[str, float | None]:
    """AP50, AP70, AP90 and AP (mean over 0.5, 0.55 .. 0.95), means over the classes that occur, and AP of each class.

    None where no object of a kind is there, since nothing can be measured then; no detection at all gives 0.

    Args:
        found, truth: one an image, in the same order.

    Raises:
        InputError: the backend is not installed.
    """
    if importlib.util.find_spec(BACKEND) is None:
        raise InputError("average precision needs the package faster-coco-eval; pip install 'ldfusion[eval]'")
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(
        iou_thresholds=list(THRESHOLDS), extended_summary=True, backend=BACKEND, max_detection_thresholds=[1, 10, 100]
    )
    metric.warn_on_many_detections = False
    for detections, objects in zip(found, truth, strict=True):
        boxes, scores, labels = (part.cpu() for part in (detections.boxes, detections.scores, detections.labels))
        metric.update(
            [{"boxes": boxes.float(), "scores": scores.float(), "labels": labels}],
            [{"boxes": objects.boxes.cpu(), "labels": objects.labels.cpu()}],
        )
    present = sorted({int(label) for objects in truth for label in objects.labels.tolist()})
    names = {f"AP {BOX_CLASSES[label]}": label for label in range(len(BOX_CLASSES))}
    if not present:
        return {name: None for name in (*SHOWN, "AP", *names)}
    result: dict[str, Any] = metric.compute()
    # (overlaps, recalls, classes, areas, most detections): all areas, 100 of them; -1 marks a class without objects
    precision = result["precision"][:, :, :, 0, -1]
    known = result["classes"].flatten().tolist()
    by_class = {label: _mean(precision[:, :, known.index(label)]) for label in present}
    measured: dict[str, float | None] = {
        name: _mean(precision[THRESHOLDS.index(overlap)]) for name, overlap in SHOWN.items()
    }
    return {**measured, "AP": _mean(precision), **{name: by_class.get(label) for name, label in names.items()}}


def _mean(precision: Tensor) -> float | None:
    valid = precision[precision > -1]
    return float(valid.to(torch.float64).mean()) if valid.numel() else None

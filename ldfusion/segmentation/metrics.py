"""Intersection over union of segmentations, from counts over all images of a set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from ldfusion.data.label_sets import IGNORED, LabelSet


class SegmentationScore:
    """Counts predicted against true classes; `figures` are those of the whole set, not means over images.

    Args:
        labels: the classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self.matrix = MulticlassConfusionMatrix(len(labels), ignore_index=IGNORED)

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Class ids (..., H, W) of both; pixels where the truth is 255 do not count."""
        self.matrix.update(predicted.cpu(), truth.cpu())

    def merge(self, other: SegmentationScore) -> None:
        """Count what another one has counted, too."""
        self.matrix.confmat += other.counts()

    def counts(self) -> Tensor:
        """Pixels (K, K): true class by row, predicted class by column."""
        return torch.as_tensor(self.matrix.confmat)

    def iou(self) -> dict[str, float | None]:
        """TP / (TP + FP + FN) of each class; None for a class that is neither there nor predicted."""
        counts = self.counts().double()
        hit = counts.diag()
        union = counts.sum(0) + counts.sum(1) - hit
        return {name: (hit[k] / union[k]).item() if union[k] > 0 else None for k, name in enumerate(self.labels.names)}

    def figures(self) -> dict[str, float]:
        """``iou/CLASS`` of the classes that occur and their mean ``mIoU``."""
        known = {name: value for name, value in self.iou().items() if value is not None}
        return {"mIoU": mean_iou(known), **{f"iou/{name}": value for name, value in known.items()}}


class TrustedScore:
    """`SegmentationScore` of the images whose masks know all classes; of the others only where there are none of these.

    In a mask that knows only the first classes, background may be any other class: predicting one there is not wrong.

    Args:
        labels: the classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self.whole, self.partial = SegmentationScore(labels), SegmentationScore(labels)

    def add(self, predicted: Tensor, truth: Tensor, known: Tensor) -> None:
        """Class ids (B, H, W) of both, and (B,) how many classes each mask tells apart (`LabelSet.read`)."""
        for found, labels, count in zip(predicted, truth, known.tolist(), strict=True):
            if count >= len(self.labels):
                self.whole.add(found, labels)
            else:
                self.partial.add(torch.where(found >= count, torch.zeros_like(found), found), labels)

    def merge(self, other: TrustedScore) -> None:
        """Count what another one has counted, too."""
        self.whole.merge(other.whole)
        self.partial.merge(other.partial)

    def figures(self) -> dict[str, float]:
        """See `SegmentationScore.figures`."""
        return (self.whole if self.whole.counts().sum() > 0 else self.partial).figures()


def sum_of(scores: Iterable[TrustedScore]) -> TrustedScore:
    """The counts of some scores of the same classes together."""
    first, *others = scores
    total = TrustedScore(first.labels)
    for score in (first, *others):
        total.merge(score)
    return total


def mean_iou(iou: Mapping[str, float | None]) -> float:
    """Mean over the classes that occur; nan without any."""
    known = [value for value in iou.values() if value is not None]
    return sum(known) / len(known) if known else float("nan")

"""Stage ``segmentation``: a segmentation network on visible, infrared or fused images."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ldfusion.config import Experiment, check_arguments, nearest
from ldfusion.data.label_sets import LabelSet
from ldfusion.errors import InputError
from ldfusion.fusion.base import FusionMethod
from ldfusion.fusion.methods import load_method
from ldfusion.registry import FUSION
from ldfusion.segmentation.losses import check_kind, semantic_loss
from ldfusion.segmentation.metrics import TrustedScore, sum_of
from ldfusion.segmentation.network import SegmentationNetwork
from ldfusion.segmentation.overlay import overlay
from ldfusion.training.stages import Measured, ParameterGroup, Stage

SENSORS = ("visible", "infrared")
GUIDED = {"prompt": "a street with cars, people and bicycles"}
"""Options of the source ``ldfusion``: one sentence for all pairs, so that crops need no captions of their own."""


@dataclass
class SegmentationLoss:
    """The defaults are those of SeAFusion's code (METHODS: hard pixels, auxiliary weight 0.75)."""

    sources: list[str] = field(default_factory=lambda: ["visible"])
    """Images to train on: ``visible``, ``infrared`` or names of fusion methods; each sample draws one of them."""
    kind: str = "ohem"
    """``ohem`` or ``plain`` cross entropy."""
    auxiliary: float = 0.75
    """Weight of the auxiliary head."""
    threshold: float = 0.7
    """OHEM: a pixel whose class is less probable than this is hard."""
    share: float = 1 / 16
    """OHEM: least share of the pixels that counts."""
    class_weights: list[float] = field(default_factory=list)
    """What a pixel of each class counts in ``plain`` cross entropy; empty: all the same."""
    head_rate: float = 10.0
    """What the learning rate is multiplied by for the two heads."""

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if not self.sources:
            raise InputError("loss.sources is empty: name visible, infrared or a fusion method")
        for name in self.sources:
            if name not in SENSORS and name not in FUSION:
                raise InputError(f"loss.sources: unknown source '{name}'; {nearest(name, [*SENSORS, *FUSION])}")
        if not (0 < self.threshold < 1 and 0 < self.share <= 1):
            raise InputError(f"loss.threshold={self.threshold}, loss.share={self.share}: both must be within 0 and 1")
        if any(not weight > 0 for weight in self.class_weights):
            raise InputError(f"loss.class_weights={self.class_weights}: all must be above 0")
        if self.class_weights and self.kind != "plain":
            raise InputError("loss.class_weights: hard pixels are not weighed; use loss.kind=plain")


class SegmentationStage(Stage[SegmentationNetwork]):
    """Trains a `SegmentationNetwork` with the labels of the pairs; ``loss`` is a `SegmentationLoss`.

    ``model`` holds the arguments of `SegmentationNetwork` and ``fusion``, a folder of weights for the source
    ``seafusion`` (default: embedded).
    """

    dataset_options: Mapping[str, bool] = {"masks": True, "native": True}
    most = sys.maxsize

    def __init__(self, experiment: Experiment) -> None:
        model, loss = experiment.model, experiment.loss
        check_arguments(self._build, model, "model")
        check_arguments(SegmentationLoss, loss, "loss")
        self.weights = SegmentationLoss(**loss)
        self.network = self._build(**model)
        self.classes = self.network.classes
        if len(self.weights.class_weights) not in (0, len(self.classes)):
            raise InputError(
                f"loss.class_weights: {len(self.weights.class_weights)} for {len(self.classes)} classes "
                f"({', '.join(self.classes.names)})"
            )
        names = [name for name in self.weights.sources if name not in SENSORS]
        options: dict[str, dict[str, Any]] = {
            "seafusion": {"weights": model.get("fusion") or None},
            "ldfusion": GUIDED,
        }
        self.methods = {name: load_method(name, **options.get(name, {})) for name in names}

    @staticmethod
    def _build(
        labels: str | Sequence[str] = "objects",
        backbone: str = "resnet18",
        options: Mapping[str, Any] | None = None,
        width: int = 128,
        auxiliary: int = 64,
        pretrained: bool = False,
        fusion: str = "",
        working_side: int = 0,
    ) -> SegmentationNetwork:
        return SegmentationNetwork(labels, backbone, options, width, auxiliary, pretrained, working_side)

    def groups(self) -> dict[str, list[ParameterGroup]]:
        """See `segmentation_groups`."""
        return {"main": segmentation_groups(self.network, self.weights.head_rate)}

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Semantic loss of one source (B, 3, h, w) drawn for each sample."""
        w = self.weights
        labels, known = labels_of(batch, self.classes)
        logits = network(draw_sources(batch, w.sources, self.methods))
        loss = semantic_loss(
            logits, labels, w.kind, w.auxiliary, w.threshold, w.share, known=known, weights=w.class_weights
        )
        return {"loss": loss}

    def measure(self, network: SegmentationNetwork, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Counts of each source; and image, labels and what is found.

        Pairs whose masks do not know all classes (pseudo-masks) are judged only where there are no others.
        """
        labels, known = labels_of(batch, self.classes)
        measured = Measured({})
        for name in self.weights.sources:
            image = source_image(batch, name, self.methods).expand(-1, 3, -1, -1)
            found = network.segment(image)
            measured.values[name] = TrustedScore(self.classes)
            measured.values[name].add(found, labels, known)
            if shown:
                views = [image, overlay(image, labels, self.classes), overlay(image, found, self.classes)]
                measured.pictures[f"{name}-{number:03d}.png"] = torch.cat(views, dim=3)[0]
        return measured

    def figures(self, network: SegmentationNetwork, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """IoU of each class and mIoU over the validation pairs, for each source."""
        scores = {name: sum_of(values[name] for values in found) for name in self.weights.sources}
        if len(scores) == 1:
            return next(iter(scores.values())).figures()
        return {f"{name}/{key}": value for name, score in scores.items() for key, value in score.figures().items()}


def segmentation_groups(network: SegmentationNetwork, head_rate: float) -> list[ParameterGroup]:
    """Heads learn ``head_rate`` times as fast; biases and batch normalisation are exempt from weight decay."""
    groups = []
    heads = {id(p) for head in (network.head, network.auxiliary_head) for p in head.parameters()}
    for is_head in (False, True):
        for decay in (True, False):
            chosen = [p for p in network.parameters() if (id(p) in heads) == is_head and (p.ndim > 1) == decay]
            groups.append(ParameterGroup(chosen, head_rate if is_head else 1.0, decay))
    return groups


def labels_of(batch: Mapping[str, Any], classes: LabelSet) -> tuple[Tensor, Tensor]:
    """The masks of a batch as ids of ``classes`` (B, H, W), and how many of these each mask knows (B,).

    Raises:
        InputError: an id that is none of the classes.
    """
    mask: Tensor = batch["mask"]
    labels, known = classes.read(mask, batch.get("mask_classes", torch.full((len(mask),), len(classes))))
    classes.check(labels, " / ".join(batch["name"]))
    return labels, known


def source_image(batch: Mapping[str, Any], source: str, methods: Mapping[str, FusionMethod]) -> Tensor:
    """Images of one source: (B, 3, H, W), infrared (B, 1, H, W)."""
    if source in SENSORS:
        image: Tensor = batch[source]
        return image
    method = methods[source]
    if isinstance(method, nn.Module):  # not a part of the network that is trained: nothing else moves it
        method.to(batch["visible"].device)
    return method.fuse(batch["visible"], batch["infrared"])


def draw_sources(batch: Mapping[str, Any], sources: Sequence[str], methods: Mapping[str, FusionMethod]) -> Tensor:
    """One image (3, H, W) for each sample, of a source that its own seed draws: (B, 3, H, W)."""
    drawn = [sources[int(np.random.default_rng([seed, 17]).integers(len(sources)))] for seed in batch["seed"].tolist()]
    images = torch.empty_like(batch["visible"])
    for name in dict.fromkeys(drawn):
        index = torch.tensor([k for k, other in enumerate(drawn) if other == name], device=images.device)
        part = {key: batch[key][index] for key in SENSORS}
        images[index] = source_image(part, name, methods).to(images.dtype).expand(-1, 3, -1, -1)
    return images

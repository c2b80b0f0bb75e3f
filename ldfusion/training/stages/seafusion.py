"""Stage ``seafusion``: the GRDB network and a segmentation network, trained in turns (SeAFusion, Tang et al. 2022).

Algorithm 1 of the paper: M rounds of p steps of the fusion network under content loss + gamma (m - 1) semantic loss,
the segmentation network frozen, and q steps of the segmentation network on images that the fusion network makes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ldfusion.config import Experiment, check_arguments, nearest
from ldfusion.errors import InputError
from ldfusion.evaluation.metrics import SIX, compute_metrics
from ldfusion.evaluation.suite import luma_codes
from ldfusion.fusion.losses import content_losses
from ldfusion.fusion.seafusion import GRDBFusionNetwork, start_as_maximum
from ldfusion.io.color import luma, with_luma
from ldfusion.segmentation.losses import check_kind, semantic_loss
from ldfusion.segmentation.metrics import TrustedScore, sum_of
from ldfusion.segmentation.network import Logits, SegmentationNetwork, load_segmenter
from ldfusion.segmentation.overlay import overlay
from ldfusion.training.stages import Measured, ParameterGroup, Stage
from ldfusion.training.stages.segmentation import labels_of, segmentation_groups
from ldfusion.weights import load

STARTS = ("random", "maximum")
STRATEGIES = ("adaptive", "content", "joint", "pretrained")
TARGETS = ("sharpen", "contrast", "radius", "epsilon", "gain", "pivot", "signed")


@dataclass
class SeAFusionLoss:
    """The plan of the training and the weights of its losses; the defaults are the paper's, where it gives one."""

    strategy: str = "adaptive"
    """``adaptive`` (Algorithm 1), ``content`` (no semantic loss), ``joint`` (one stage: every step trains both networks
    under content + gamma semantic loss) or ``pretrained`` (rounds of p steps guided by a frozen network, no turns)."""
    rounds: int = 4
    """M."""
    fusion_steps: int = 2700
    """p; the first version of the code takes 1350."""
    task_steps: int = 20000
    """q."""
    alpha: float = 10.0
    """Weight of the gradient loss within the content loss."""
    gamma: float = 1.0
    """Growth of the semantic loss: its weight in round m is gamma (m - 1)."""
    kind: str = "ohem"
    """Cross entropy: ``plain`` (paper) or ``ohem`` (code)."""
    auxiliary: float = 0.1
    """Weight of the auxiliary head in the semantic loss of the fusion network."""
    task_auxiliary: float = 0.75
    """The same while the segmentation network is trained (code; the paper has 0.1)."""
    threshold: float = 0.7
    share: float = 1 / 8
    """OHEM, see `ldfusion.segmentation.losses`; in the turns of the segmentation network the code takes half of it."""
    head_rate: float = 10.0
    """What the learning rate of the segmentation network's heads is multiplied by."""
    sharpen: float = 1.0
    contrast: float = 0.0
    radius: int = 16
    epsilon: float = 0.01
    gain: float = 1.0
    pivot: float = 0.0
    signed: bool = False
    """Ours, see `ldfusion.fusion.losses.content_losses`; the defaults are the paper's content loss."""

    def __post_init__(self) -> None:
        check_kind(self.kind)
        if self.strategy not in STRATEGIES:
            raise InputError(f"loss.strategy: unknown '{self.strategy}'; {nearest(self.strategy, STRATEGIES)}")
        for name in ("rounds", "fusion_steps"):
            if getattr(self, name) < 1:
                raise InputError(f"loss.{name}={getattr(self, name)}: must be 1 or more")
        if self.task_steps < 0:
            raise InputError(f"loss.task_steps={self.task_steps}: must be 0 or more")

    @property
    def targets(self) -> dict[str, Any]:
        """The settings of the content loss's targets."""
        return {name: getattr(self, name) for name in TARGETS}

    @property
    def period(self) -> int:
        """Steps of one round."""
        return self.fusion_steps + (self.task_steps if self.strategy == "adaptive" else 0)

    @property
    def steps(self) -> int:
        """Steps of the whole plan."""
        return self.rounds * self.period


@dataclass(frozen=True)
class Turn:
    """What one step does: ``m`` counts the rounds from 1; ``beta`` is the weight of the semantic loss."""

    m: int
    fuses: bool
    segments: bool
    beta: float


class JointNetwork(nn.Module):
    """The fusion network and the segmentation network that reads its images."""

    def __init__(self, fusion: GRDBFusionNetwork, segmentation: SegmentationNetwork | None) -> None:
        super().__init__()
        self.fusion, self.segmentation = fusion, segmentation

    def forward(self, visible: Tensor, infrared: Tensor, turn: Turn) -> tuple[Tensor, Logits | None]:
        """Fused luma (B, 1, H, W) and the scores of the fused images, with the gradients that the turn needs."""
        with torch.set_grad_enabled(turn.fuses):
            fused = self.fusion(luma(visible), infrared)
        if self.segmentation is None or not (turn.segments or turn.beta > 0):
            return fused, None
        image = with_luma(visible, fused)
        if turn.segments:
            return fused, self.segmentation(image)
        # the gradient goes through the network to the image, and stops at its weights
        self.segmentation.eval()
        frozen = {name: p.detach() for name, p in self.segmentation.named_parameters()}
        return fused, functional_call(self.segmentation, frozen, (image,))


class SeAFusionStage(Stage[JointNetwork]):
    """Trains a `JointNetwork`; ``loss`` is a `SeAFusionLoss`.

    ``model`` holds ``variant`` (of `GRDBFusionNetwork`), ``start`` (``random`` or ``maximum``, see `start_as_maximum`)
    or ``fusion`` (folder of weights to start from),
    ``segmentation`` (arguments of `SegmentationNetwork`) and ``guide`` (folder of a trained segmentation network to
    start from instead; the strategy ``pretrained`` needs one).
    """

    dataset_options: Mapping[str, bool] = {"masks": True, "native": True}
    most = sys.maxsize
    part = "fusion"

    def __init__(self, experiment: Experiment) -> None:
        model, loss = experiment.model, experiment.loss
        check_arguments(self._build, model, "model")
        check_arguments(SeAFusionLoss, loss, "loss")
        self.weights = SeAFusionLoss(**loss)
        self.network = self._build(**model)
        self.steps: int = self.weights.steps

    def _build(
        self,
        variant: str = "code",
        start: str = "random",
        fusion: str = "",
        segmentation: Mapping[str, Any] | None = None,
        guide: str = "",
    ) -> JointNetwork:
        strategy = self.weights.strategy
        grdb = GRDBFusionNetwork(variant)
        if start not in STARTS:
            raise InputError(f"model.start: unknown '{start}'; {nearest(start, STARTS)}")
        if start == "maximum":
            start_as_maximum(grdb)
        if fusion:
            grdb = load(GRDBFusionNetwork, "seafusion", fusion)
            if grdb.config.variant != variant:
                raise InputError(f"model.fusion: {fusion} is of the variant '{grdb.config.variant}', not '{variant}'")
        if strategy == "content":
            return JointNetwork(grdb, None)
        if guide:
            return JointNetwork(grdb, load_segmenter(guide).requires_grad_(strategy != "pretrained"))
        if strategy == "pretrained":
            raise InputError("model.guide is empty: give the folder of a trained segmentation network")
        check_arguments(SegmentationNetwork.__init__, segmentation or {}, "model.segmentation")
        return JointNetwork(grdb, SegmentationNetwork(**(segmentation or {})))

    @property
    def exported(self) -> nn.Module:
        """The fusion network."""
        return self.network.fusion

    def plan(self, step: int) -> Turn:
        """What step ``step`` does: a function of the step alone, so that a run resumes anywhere."""
        w = self.weights
        if w.strategy == "content":
            return Turn(1 + step // w.fusion_steps, True, False, 0.0)
        if w.strategy == "joint":
            return Turn(1, True, True, w.gamma)
        m, place = 1 + step // w.period, step % w.period
        fuses = place < w.fusion_steps
        return Turn(m, fuses, not fuses, w.gamma * (m - 1) if fuses else 1.0)

    def turn(self, step: int) -> tuple[str, ...]:
        """The optimisers of a step: ``main`` of the fusion network, ``task`` of the segmentation network."""
        turn = self.plan(step)
        return ("main",) * turn.fuses + ("task",) * turn.segments

    def groups(self) -> dict[str, list[ParameterGroup]]:
        """The fusion network under ``main``; the segmentation network, where it is trained, under ``task``."""
        groups = {"main": [ParameterGroup([p for p in self.network.fusion.parameters() if p.requires_grad])]}
        if self.network.segmentation is not None and self.weights.strategy != "pretrained":
            groups["task"] = segmentation_groups(self.network.segmentation, self.weights.head_rate)
        return groups

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Content and semantic loss of the fusion network, or the loss of the segmentation network, by the turn."""
        w, turn = self.weights, self.plan(step)
        visible, infrared = batch["visible"], batch["infrared"]
        fused, logits = network(visible, infrared, turn)
        losses: dict[str, Tensor] = {}
        total = fused.new_zeros(())
        if turn.fuses:
            losses |= content_losses(fused, luma(visible), infrared, **w.targets)
            total = losses["intensity"] + w.alpha * losses["gradient"]
        if logits is not None:
            assert self.network.segmentation is not None
            labels, known = labels_of(batch, self.network.segmentation.classes)
            auxiliary, share = (w.auxiliary, w.share) if turn.fuses else (w.task_auxiliary, w.share / 2)
            semantic = semantic_loss(logits, labels, w.kind, auxiliary, w.threshold, share, known=known)
            losses["semantic" if turn.fuses else "segmentation"] = semantic
            total = total + turn.beta * semantic
        return {"loss": total, **losses}

    def measure(self, network: JointNetwork, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Six fusion metrics at native size, counts of the segmentation network where there is one, and the images."""
        visible, infrared = batch["visible"], batch["infrared"]
        fused = network.fusion.fuse(visible, infrared)
        codes = [luma_codes(image[0]) for image in (fused, visible, infrared)]
        measured = Measured(dict(compute_metrics(codes[0], codes[1], codes[2], SIX)))
        views = [visible, infrared.expand(-1, 3, -1, -1), fused]
        segmenter = network.segmentation
        if segmenter is not None:
            found = segmenter.segment(fused)
            measured.values["score"] = TrustedScore(segmenter.classes)
            measured.values["score"].add(found, *labels_of(batch, segmenter.classes))
            views.append(overlay(fused, found, segmenter.classes))
        if shown:
            measured.pictures[f"{number:03d}.png"] = torch.cat(views, dim=3)[0]
        return measured

    def figures(self, network: JointNetwork, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Means of the metrics; IoU of each class and mIoU."""
        scores = [values.pop("score") for values in found if "score" in values]
        return super().figures(network, found, folder) | (sum_of(scores).figures() if scores else {})

    def export(self, network: JointNetwork, folder: Path) -> None:
        """``folder/fusion`` and, where it was trained along, ``folder/segmentation``."""
        network.fusion.save_pretrained(folder / "fusion")
        if network.segmentation is not None and self.weights.strategy != "pretrained":
            network.segmentation.save_pretrained(folder / "segmentation")

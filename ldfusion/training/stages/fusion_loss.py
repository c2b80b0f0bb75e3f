"""What the stage ``fusion`` minimises: edges, fidelity, tone, colour, targets and depth, each term with its weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from depth.estimator import DepthEstimator
from ldfusion.config import check_keys
from ldfusion.fusion import fidelity, losses
from ldfusion.fusion.tone import develop
from ldfusion.io.color import luma
from ldfusion.segmentation.losses import semantic_loss
from ldfusion.segmentation.network import SegmentationNetwork
from ldfusion.training.stages.segmentation import labels_of

CLASSES = 3
"""Mask ids 1..CLASSES are targets: car, person, bike."""
GLARE = 0.1
"""Grey levels of 1 by which a light is held back at least where its own loss counts."""
HELD = 0.7
"""Share of the way from a blinding light to what infrared has there, see `ldfusion.fusion.losses.glare`."""
GOALS = {"EN": 1.0, "MI": 0.65, "VIF": 1.1, "SF": 1.15, "SD": 1.0, "Qabf": 0.8, "SCD": 1.65, "Nabf": 0.03} | {
    "floor_vif": 0.33,
    "floor_mi": 0.2,
}
"""See `ldfusion.fusion.fidelity.GOALS`."""


@dataclass
class FusionLoss:
    """Weights of the losses. None is published for this method (Zhang et al. 2025): all are ours."""

    laplacian: float = 2.5
    gradient: float = 1.0
    maximum: float = 0.4
    novelty: float = 4.0
    outside: float = 15.0
    clipping: float = 0.0
    smooth: float = 0.3
    glare: float = 0.5
    pale: float = 0.0
    """White skies by day stay white, see `ldfusion.fusion.losses.pale`."""
    colour: float = 1.0
    depth: float = 0.05
    semantic: float = 0.0
    """Cross entropy of the hard pixels by a frozen segmentation network (SeAFusion, Tang et al. 2022, eq. 10)."""
    region: float = 0.3
    """Intensity on the targets alone, each picture's targets weighing as much as the next one's."""
    emphasis: float = 0.4
    """Lift of the thermal signature of targets that the sentence names."""
    language: float = 3.0
    """What a sentence that names other targets changes, see `ldfusion.fusion.losses.contrast_loss`."""
    EN: float = 2.0
    MI: float = 2.0
    VIF: float = 2.0
    SF: float = 1.5
    SD: float = 1.0
    Qabf: float = 3.0
    SCD: float = 0.5
    Nabf: float = 0.0
    floor_vif: float = 2.0
    floor_mi: float = 2.0
    goals: dict[str, float] = field(default_factory=lambda: dict(GOALS))
    """What these terms ask for; those not given stay as in `GOALS`."""
    depth_every: float = 3.0
    """Steps from one with the depth loss, which costs as much as all others, to the next; it counts as often more."""

    def __post_init__(self) -> None:
        check_keys(self.goals, fidelity.GOALS, "loss.goals")


class FusionObjective:
    """Every loss of a batch of fused images.

    Args:
        weights: of the terms; a term of weight 0 is still reported where it costs little.
        twins: frozen depth estimators, visible and infrared.
        segmenter: frozen; None leaves the semantic loss out.
    """

    def __init__(
        self, weights: FusionLoss, twins: Sequence[DepthEstimator], segmenter: SegmentationNetwork | None = None
    ) -> None:
        self.weights, self.twins, self.segmenter = weights, list(twins), segmenter

    def __call__(
        self,
        fused: Tensor,
        batch: dict[str, Any],
        named: Tensor,
        tone: Tensor | None = None,
        grid: Tensor | None = None,
        depth: float = 1.0,
    ) -> dict[str, Tensor]:
        """Every loss of ``fused`` for sentences that name ``named`` (B, 3).

        Args:
            fused: colour images (B, 3, H, W), not clamped.
            batch: of `PairDataset`, on the device of ``fused``.
            tone: (B, CONTROLS) that was asked for; None: natural.
            grid: of the decoder; None leaves the smoothness out.
            depth: how many times the depth loss counts; 0 leaves it out.
        """
        w, infrared, y = self.weights, batch["infrared"], luma(fused)
        blinded = losses.glare(luma(batch["visible"]), infrared)
        first, second = luma(batch["visible"]), infrared
        if tone is not None:
            first, second = develop(first, tone), develop(second, tone)
        lift = losses.emphasis(infrared, batch["mask"], named.to(fused.device), w.emphasis)
        target = torch.maximum(first, second) - (HELD * blinded if w.glare else 0)
        target = target + lift * (1 - target)
        targets = ((batch["mask"] > 0) & (batch["mask"] <= CLASSES))[:, None]
        out = {
            "laplacian": losses.laplacian_loss(y, first, second),
            "gradient": losses.gradient_loss(y, first, second),
            "maximum": losses.intensity_loss(y, target),
            "novelty": losses.novelty_loss(y, first, second),
            "outside": losses.outside_loss(fused),
            "clipping": losses.clipping_loss(y, first, second),
            "glare": losses.region_loss(y, target, (blinded > GLARE)),
            "pale": losses.region_loss(y, target, losses.pale(luma(batch["visible"]), infrared) > GLARE),
            "colour": losses.colour_loss(fused, batch["visible"]),
            "region": losses.region_loss(y, target, targets),
        }
        if grid is not None:
            out["smooth"] = losses.roughness(grid)
        goals = {name: goal for name, goal in w.goals.items() if getattr(w, name) > 0}
        out |= fidelity.shortfalls(y, first, second, goals)
        if depth:
            twins = [t.to(fused.device) for t in self.twins]
            out["depth"] = losses.depth_loss(fused, batch["depth_visible"], batch["depth_infrared"], twins[0], twins[1])
        if self.segmenter is not None:
            segmenter = self.segmenter.to(fused.device)
            labels, known = labels_of(batch, segmenter.classes)
            logits = segmenter(fused.clamp(0, 1), auxiliary=False)
            out["semantic"] = semantic_loss(logits, labels, known=known)
        weights = {name: getattr(w, name) for name in out} | {"depth": w.depth * depth}
        out["loss"] = torch.stack([weights[name] * value for name, value in out.items()]).sum()
        return out

"""Losses of the detector: focal loss on the centres, generalised IoU on the sides."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.detection.targets import Targets

_TINY = 1e-6


def centre_loss(logits: Tensor, targets: Targets) -> Tensor:
    """Penalty-reduced focal loss a sample, over its number of centres (CornerNet, Law and Deng 2018, eq. 1; 2 and 4).

    Args:
        logits: (B, classes, h, w).

    Returns:
        (B,) >= 0.
    """
    centre = targets.heat == 1
    hit = -F.logsigmoid(logits) * torch.sigmoid(-logits).square()
    miss = -F.logsigmoid(-logits) * torch.sigmoid(logits).square() * (1 - targets.heat) ** 4
    loss = torch.where(centre, hit, miss * targets.counted)
    return loss.sum((1, 2, 3)) / centre.sum((1, 2, 3)).clamp_min(1)


def side_loss(sides: Tensor, targets: Targets) -> Tensor:
    """Mean of 1 - GIoU over the positions of objects, by their weights (Rezatofighi et al. 2019); (B,), 0..2.

    Box and target share the position they are measured from, so that overlap and hull are sums of lesser and greater
    distances.

    Args:
        sides: (B, 4, h, w) > 0.
    """
    low, high = torch.minimum(sides, targets.sides), torch.maximum(sides, targets.sides)
    shared, hull = _area(low), _area(high)
    union = _area(sides) + _area(targets.sides) - shared
    giou = shared / union.clamp_min(_TINY) - (hull - union) / hull.clamp_min(_TINY)
    return ((1 - giou) * targets.weight).sum((1, 2)) / targets.weight.sum((1, 2)).clamp_min(1)


def _area(sides: Tensor) -> Tensor:
    """(B, 4, h, w) distances to the area of their boxes, (B, h, w)."""
    return (sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])

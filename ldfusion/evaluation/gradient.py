"""Fusion metrics from differences between neighbouring pixels: SF, AG, Qabf and Nabf.

All take (B, 1, H, W) luma on the 0..255 scale, the sources (1, 1, H, W) where all B images share them, and return (B,)
float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma
from ldfusion.evaluation._window import strips

# Xydeas and Petrovic (2000): (ceiling, steepness, midpoint) of the strength and orientation sigmoids.
QABF_STRENGTH = (0.9994, 15.0, 0.5)
QABF_ORIENTATION = (0.9879, 22.0, 0.8)
# Petrovic and Xydeas (2005), in the form of Shreyamsha Kumar (2013).
NABF_STRENGTH = (0.9999, 19.0, 0.5)
NABF_ORIENTATION = (0.9995, 22.0, 0.5)
NABF_THRESHOLD = 2.0
"""Edge strength (Sobel / 8) from which an edge weighs by its strength."""
NABF_EXPONENT = 1.5
NABF_LEAST_WEIGHT = 0.001


def spatial_frequency(fused: Tensor) -> Tensor:
    """SF = sqrt(mean squared row difference + mean squared column difference) (Eskicioglu and Fisher, 1995)."""
    check_luma(fused)
    fused = fused.double()
    rows = fused.diff(dim=-1).square().mean((1, 2, 3))
    columns = fused.diff(dim=-2).square().mean((1, 2, 3))
    return (rows + columns).sqrt()


def average_gradient(fused: Tensor) -> Tensor:
    """AG = sum of sqrt((gx^2 + gy^2) / 2) over (H - 1)(W - 1), central differences (Cui et al., 2015).

    Differences are one-sided at the border.
    """
    check_luma(fused)
    height, width = fused.shape[-2:]
    down, right = torch.gradient(fused.double(), dim=(-2, -1))
    return ((down.square() + right.square()) / 2).sqrt().sum((1, 2, 3)) / ((height - 1) * (width - 1))


def qabf(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Qabf: edge strength and orientation kept from both sources, 0..1 (Xydeas and Petrovic, 2000).

    Sobel edges on the zero-padded image; every pixel of a source weighs as much as its edge. NaN where
    neither source has an edge.
    """
    check_luma(fused, visible, infrared)
    kept = weight = torch.zeros(1, dtype=torch.float64, device=fused.device)
    images = [functional.pad(image.double(), (1, 1, 1, 1)) for image in (fused, visible, infrared)]
    for rows in strips(fused.shape[-2], 2):
        edge_fused, *edges = (_sobel(image[..., rows, :]) for image in images)
        angle_fused = edge_fused.angle()
        for edge in edges:
            quality = _edge_preservation(edge, edge.angle(), edge_fused.strength, angle_fused)
            kept = kept + (quality * edge.strength).sum((1, 2, 3))
            weight = weight + edge.strength.sum((1, 2, 3))
    return kept / weight


def nabf(fused: Tensor, visible: Tensor, infrared: Tensor, least_weight: float = NABF_LEAST_WEIGHT) -> Tensor:
    """Nabf: edges of the fused image that neither source has, 0..1, lower is better (Shreyamsha Kumar, 2013).

    Sobel edges / 8 on the mirrored image; weaker ones than 2 weigh ``least_weight``. NaN if that makes all weights 0.
    """
    check_luma(fused, visible, infrared)
    added = weight = torch.zeros(1, dtype=torch.float64, device=fused.device)
    images = [functional.pad(image.double() / 8, (1, 1, 1, 1), mode="reflect") for image in (fused, visible, infrared)]
    for rows in strips(fused.shape[-2], 2):
        edge_fused, *edges = (_sobel(image[..., rows, :]) for image in images)
        angle_fused = edge_fused.steepness()
        stronger = (edge_fused.strength > edges[0].strength) & (edge_fused.strength > edges[1].strength)
        for edge in edges:
            low = torch.minimum(edge.strength, edge_fused.strength)
            ratio = low / torch.maximum(edge.strength, edge_fused.strength).clamp_min(1e-300)
            agreement = ((edge.steepness() - angle_fused).abs() - math.pi / 2).abs() / (math.pi / 2)
            quality = (_sigmoid(ratio, *NABF_STRENGTH) * _sigmoid(agreement, *NABF_ORIENTATION)).sqrt()
            share = torch.where(edge.strength >= NABF_THRESHOLD, edge.strength**NABF_EXPONENT, least_weight)
            added = added + ((1 - quality) * share * stronger).sum((1, 2, 3))
            weight = weight + share.sum((1, 2, 3))
    return added / weight


class Edges(NamedTuple):
    """Sobel response of an image: to the right, downwards, and its strength; (B, 1, h, w) each."""

    right: Tensor
    down: Tensor
    strength: Tensor

    def angle(self) -> Tensor:
        """Orientation against the horizontal, y upwards (radian, -pi/2 .. pi/2); pi/2 where nothing changes to the
        right.
        """
        # atan of a signed zero over zero is not a number, so that case is set first
        return torch.where(self.right == 0, math.pi / 2, torch.atan(-self.down / self.right))

    def steepness(self) -> Tensor:
        """Orientation as in Nabf: atan(right / down), +-pi/2 where nothing changes downwards, 0 on a flat area."""
        return torch.where(self.strength == 0, 0.0, torch.atan(self.right / self.down))


def _sobel(padded: Tensor) -> Edges:
    """Sobel response of an image that has one line more on each side."""
    right = padded[..., 2:] - padded[..., :-2]
    right = right[..., :-2, :] + right[..., 2:, :] + 2 * right[..., 1:-1, :]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = down[..., :-2] + down[..., 2:] + 2 * down[..., 1:-1]
    return Edges(right, down, torch.hypot(right, down))


def _edge_preservation(source: Edges, angle_source: Tensor, strength_fused: Tensor, angle_fused: Tensor) -> Tensor:
    low, high = torch.minimum(source.strength, strength_fused), torch.maximum(source.strength, strength_fused)
    # Where both edges are equally strong the reference program takes the strength itself, not the ratio 1;
    # on the 0..255 scale the two differ for flat areas only, and those carry no weight.
    strength = torch.where(low == high, strength_fused, low / high)
    orientation = 1 - (angle_source - angle_fused).abs() / (math.pi / 2)
    return _sigmoid(strength, *QABF_STRENGTH) * _sigmoid(orientation, *QABF_ORIENTATION)


def _sigmoid(value: Tensor, ceiling: float, steepness: float, midpoint: float) -> Tensor:
    return ceiling * torch.sigmoid(steepness * (value - midpoint))

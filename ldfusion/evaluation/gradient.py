"""Fusion metrics from differences between neighbouring pixels: SF, AG and Qabf.

All take (B, 1, H, W) luma on the 0..255 scale and return (B,) float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma

# Xydeas and Petrovic (2000): (ceiling, steepness, midpoint) of the strength and orientation sigmoids.
QABF_STRENGTH = (0.9994, 15.0, 0.5)
QABF_ORIENTATION = (0.9879, 22.0, 0.8)


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
    edge_fused = _sobel(fused)
    kept = weight = torch.zeros(fused.shape[0], dtype=torch.float64, device=fused.device)
    for source in (visible, infrared):
        edge = _sobel(source)
        kept = kept + (_edge_preservation(edge, edge_fused) * edge[0]).sum((1, 2, 3))
        weight = weight + edge[0].sum((1, 2, 3))
    return kept / weight


def _sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    """Edge strength and orientation against the horizontal, y upwards (radian, -pi/2..pi/2), each (B, 1, H, W)."""
    padded = functional.pad(image.double(), (1, 1, 1, 1))
    right = padded[..., 2:] - padded[..., :-2]
    right = right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    upright = torch.full_like(down, math.pi / 2)
    return (right.square() + down.square()).sqrt(), torch.where(right == 0, upright, torch.atan(-down / right))


def _edge_preservation(source: tuple[Tensor, Tensor], fused: tuple[Tensor, Tensor]) -> Tensor:
    (strength_source, angle_source), (strength_fused, angle_fused) = source, fused
    low, high = torch.minimum(strength_source, strength_fused), torch.maximum(strength_source, strength_fused)
    # Where both edges are equally strong the reference program takes the strength itself, not the ratio 1;
    # on the 0..255 scale the two differ for flat areas only, and those carry no weight.
    strength = torch.where(strength_source == strength_fused, strength_fused, low / high)
    orientation = 1 - (angle_source - angle_fused).abs() / (math.pi / 2)
    return _sigmoid(strength, *QABF_STRENGTH) * _sigmoid(orientation, *QABF_ORIENTATION)


def _sigmoid(value: Tensor, ceiling: float, steepness: float, midpoint: float) -> Tensor:
    return ceiling * torch.sigmoid(steepness * (value - midpoint))

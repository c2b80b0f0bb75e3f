"""Depth metrics, each per image: ``(B, 1, H, W)`` maps to ``(B,)``; average the images afterwards.

g is the reference, p the prediction, d = ln p - ln g; means run over the valid pixels of the image. Predictions are
bounded below by 1e-6 before logarithms and ratios. Definitions follow Eigen et al. 2014 and monodepth2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from depth.align import align_least_squares, align_median, depth_from_inverse, masked_mean, rows

EPSILON = 1e-6
Alignment = Literal["none", "median", "least_squares", "inverse"]


def _log_difference(p: Tensor, g: Tensor, valid: Tensor) -> Tensor:
    # An invalid pixel is 0 in both maps: its difference is 0 too.
    return p.clamp_min(EPSILON).log() - g.clamp_min(EPSILON).log()


def abs_rel(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """mean |p - g| / g."""
    p, g, valid = rows(prediction, target, mask)
    return masked_mean((p - g).abs() / g.clamp_min(EPSILON), valid)


def sq_rel(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """mean (p - g)^2 / g, in the unit of the depth."""
    p, g, valid = rows(prediction, target, mask)
    return masked_mean((p - g) ** 2 / g.clamp_min(EPSILON), valid)


def rmse(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """sqrt(mean (p - g)^2), in the unit of the depth."""
    p, g, valid = rows(prediction, target, mask)
    return masked_mean((p - g) ** 2, valid).sqrt()


def rmse_log(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """sqrt(mean d^2), natural logarithm."""
    p, g, valid = rows(prediction, target, mask)
    return masked_mean(_log_difference(p, g, valid) ** 2, valid).sqrt()


def log10(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """mean |log10 p - log10 g|."""
    p, g, valid = rows(prediction, target, mask)
    return masked_mean(_log_difference(p, g, valid).abs(), valid) / torch.log(torch.tensor(10.0)).item()


def delta(prediction: Tensor, target: Tensor, mask: Tensor | None = None, k: int = 1) -> Tensor:
    """Share of pixels with max(p / g, g / p) < 1.25^k (strictly), in [0, 1]."""
    p, g, valid = rows(prediction, target, mask)
    p, g = p.clamp_min(EPSILON), g.clamp_min(EPSILON)
    return masked_mean((torch.maximum(p / g, g / p) < 1.25**k).to(p.dtype), valid)


def silog(prediction: Tensor, target: Tensor, mask: Tensor | None = None, variance_focus: float = 1.0) -> Tensor:
    """sqrt(mean d^2 - variance_focus (mean d)^2).

    Papers differ: 100 times the value at variance_focus 1 is what Marigold and KITTI print as SILog, the value at 0.5
    what Depth Anything prints.
    """
    p, g, valid = rows(prediction, target, mask)
    d = _log_difference(p, g, valid)
    return (masked_mean(d**2, valid) - variance_focus * masked_mean(d, valid) ** 2).clamp_min(0).sqrt()


def average_ranks(values: Tensor) -> Tensor:
    """Ranks from 1 of a vector ``(N,)``, float64; equal values share the mean of their ranks."""
    _, inverse, counts = values.unique(sorted=True, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[inverse]


def spearman(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Spearman's rank correlation over the valid pixels, ``(B,)`` in [-1, 1], ties by average rank.

    It needs no alignment: any increasing map of the prediction gives the same value. A constant map has no order and
    gives 0.
    """
    p, g, valid = rows(prediction.detach(), target.detach(), mask)
    values = []
    for p_row, g_row, v in zip(p, g, valid, strict=True):
        x, y = average_ranks(p_row[v]), average_ranks(g_row[v])
        x, y = x - x.mean(), y - y.mean()
        norm = (x.square().sum() * y.square().sum()).sqrt()
        values.append(torch.where(norm > 0, (x * y).sum() / norm, torch.zeros_like(norm)))
    return torch.stack(values).to(prediction.dtype)


def depth_metrics(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    align: Alignment = "none",
    limits: tuple[float, float] = (1e-3, 80.0),
) -> dict[str, Tensor]:
    """All metrics of this file, each ``(B,)``.

    Args:
        prediction: depth, or relative inverse depth with ``align="inverse"``; ``(B, 1, H, W)``.
        target: depth, in the unit of the limits; pixels outside the limits do not count.
        mask: True where the target is valid, same shape.
        align: "none"; "median" or "least_squares" on the depth; "inverse": least squares against 1 / target, then
            inverted (the rule for disparity models such as MiDaS and Depth Anything).
        limits: nearest and farthest depth that counts; the aligned prediction is clipped to them.

    Raises:
        ValueError: an unknown alignment.
    """
    near, far = limits
    valid = (target >= near) & (target <= far)
    if mask is not None:
        valid = valid & mask.bool()
    # Correlation of the raw output with nearness or depth, whichever it claims to be.
    order = spearman(prediction, -target if align == "inverse" else target, valid)
    if align == "median":
        prediction = align_median(prediction, target, valid)
    elif align == "least_squares":
        prediction = align_least_squares(prediction, target, valid)
    elif align == "inverse":
        prediction = depth_from_inverse(prediction, target, valid, floor=1 / far)
    elif align != "none":
        raise ValueError(f"alignment {align!r} is none of none, median, least_squares, inverse")
    p = prediction.clamp(near, far)
    return {
        "abs_rel": abs_rel(p, target, valid),
        "sq_rel": sq_rel(p, target, valid),
        "rmse": rmse(p, target, valid),
        "rmse_log": rmse_log(p, target, valid),
        "log10": log10(p, target, valid),
        "silog": 100 * silog(p, target, valid),
        **{f"delta{k}": delta(p, target, valid, k) for k in (1, 2, 3)},
        "spearman": order,
    }

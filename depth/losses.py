"""Losses for relative (inverse) depth that ignore the unknown scale and shift of each image.

Every loss reduces *per image* and returns ``(B,)``: an image's sums are divided by its own number of valid pixels, so
an image with few valid pixels weighs as much as any other, and averaging over a batch does not depend on how the batch
was put together. (The "batch-based" variant found in some code divides by the valid count of the whole batch instead.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from depth.align import masked_mean, rows, standardise

MIN_CORRELATION = 0.1
MIN_VARIANCE = 1e-8


def ordered_alignment(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The prediction after the least-squares scale and shift, with the scale kept positive; differentiable, same shape.

    The least-squares scale is s = rho * std(g) / std(p). Taken as it is, a map in *reversed* order (rho = -1)
    would fit as well as the right one, and a map without any relation (rho = 0) would get no gradient. Here rho is
    bounded below by 0.1: above, the squared error is 1 - rho^2 as usual; below, it goes on as a straight line of the
    same slope.
    A small constant inside the standard deviations keeps a constant prediction finite, in value and in gradient.
    """
    p, g, valid = rows(prediction, target, mask)
    p_centred = p - masked_mean(p, valid)[:, None]
    mean_g = masked_mean(g, valid)
    g_centred = g - mean_g[:, None]
    variance = masked_mean(p_centred**2, valid) + MIN_VARIANCE
    covariance = masked_mean(p_centred * g_centred, valid)
    floor = MIN_CORRELATION * torch.sqrt((masked_mean(g_centred**2, valid) + MIN_VARIANCE) / variance)
    scale = torch.maximum(covariance / variance, floor)
    return (scale[:, None] * p_centred + mean_g[:, None]).view_as(prediction)


def gradient_matching(residual: Tensor, mask: Tensor | None = None, scales: int = 4) -> Tensor:
    """Sum over scales of mean(|dx r_k| + |dy r_k|), r_k the residual taken at every 2^k-th pixel (MiDaS, eq. 11).

    Args:
        residual: aligned prediction minus target, ``(B, C, H, W)``.
        mask: True where valid, same shape; a difference counts when both of its pixels are valid.
        scales: number of scales, k = 0 .. scales - 1; each is divided by its own number of valid pixels.

    Returns:
        ``(B,)``.
    """
    valid = torch.ones_like(residual, dtype=torch.bool) if mask is None else mask.bool()
    residual = torch.where(valid, residual, torch.zeros_like(residual))
    weight = valid.to(residual.dtype)
    total = residual.new_zeros(residual.shape[0])
    for k in range(scales):
        r, w = residual[..., :: 2**k, :: 2**k], weight[..., :: 2**k, :: 2**k]
        dx = (r.diff(dim=-1).abs() * w[..., 1:] * w[..., :-1]).flatten(1).sum(1)
        dy = (r.diff(dim=-2).abs() * w[..., 1:, :] * w[..., :-1, :]).flatten(1).sum(1)
        total = total + (dx + dy) / w.flatten(1).sum(1).clamp_min(1)
    return total


def ssi_loss(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, alpha: float = 0.5, scales: int = 4
) -> Tensor:
    """Scale-and-shift-invariant squared error plus gradient matching (MiDaS, Ranftl et al. 2020, eq. 1 and 11).

    L = 1 / (2 M) sum r^2 + alpha sum_k 1 / M_k sum (|dx r_k| + |dy r_k|), r = aligned prediction - target. The
    alignment is ``ordered_alignment``. The value is in the target's unit: give targets of one spread
    (``depth.align.standardise``) when every image is to weigh the same.

    Args:
        prediction: ``(B, 1, H, W)``, any scale and shift.
        target: ``(B, 1, H, W)``.
        mask: True where the target is valid, ``(B, 1, H, W)``; None for everywhere.
        alpha: weight of the gradient term.
        scales: number of scales of the gradient term.

    Returns:
        ``(B,)``; 0 for an image without a valid pixel.
    """
    residual = ordered_alignment(prediction, target, mask) - target
    flat, _, valid = rows(residual, residual, mask)
    return masked_mean(flat**2, valid) / 2 + alpha * gradient_matching(residual, mask, scales)


def ssi_mae_loss(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, alpha: float = 0.0, scales: int = 4
) -> Tensor:
    """Mean absolute error of the two maps after median / mean-absolute-deviation scaling (MiDaS, eq. 5-7).

    Arguments and result as ``ssi_loss``; both maps are standardised, so the value has no unit and outliers weigh less.
    The order of the prediction is kept: a reversed map has a large loss.
    """
    residual = standardise(prediction, mask) - standardise(target, mask)
    flat, _, valid = rows(residual, residual, mask)
    return masked_mean(flat.abs(), valid) + alpha * gradient_matching(residual, mask, scales)


def rank_loss(prediction: Tensor, target: Tensor, points: int = 2048) -> Tensor:
    """How far the order of the depths is off: mean |F(s p + t) - F(g)|, F the target's own distribution function.

    The prediction is aligned to the target as in `ssi_loss`, then both are read through the sorted values of the
    target, interpolated linearly: a differentiable relative of the Spearman correlation (ours). Every pixel weighs the
    same, whether the scene around it is near or far.

    Args:
        prediction, target: (B, 1, H, W); larger is nearer in both.
        points: values that F is made of.

    Returns:
        (B,), 0 for the target itself up to scale and shift, about 1/4 for a prediction that knows nothing.
    """
    batch = prediction.shape[0]
    aligned, truth = ordered_alignment(prediction, target).reshape(batch, -1), target.reshape(batch, -1)
    step = max(1, truth.shape[1] // points)
    values = torch.sort(truth[:, step // 2 :: step], dim=1).values.contiguous()
    # ties (a sky of zeros) get slightly different values, so that F is a function with an inverse
    values = values + torch.linspace(0, 1e-3, values.shape[1], device=values.device) * truth.std(dim=1, keepdim=True)
    return (_distribution(aligned, values) - _distribution(truth, values)).abs().mean(dim=1)


def _distribution(x: Tensor, values: Tensor) -> Tensor:
    """F(x) in [0, 1] of (B, N) by linear interpolation between sorted values (B, M), with a gradient to x."""
    last = values.shape[1] - 1
    upper = torch.searchsorted(values, x.detach().contiguous()).clamp(1, last)
    low, high = values.gather(1, upper - 1), values.gather(1, upper)
    inside = (upper - 1 + ((x - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)) / last
    # a value beyond the ends is still pulled back, with the slope of the whole range
    first, final = values[:, :1], values[:, -1:]
    beyond = (x - first).clamp_max(0) + (x - final).clamp_min(0)
    return inside + beyond / (final - first).clamp_min(1e-6)

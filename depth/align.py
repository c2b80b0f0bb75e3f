"""Bringing a prediction known up to scale (and shift) onto a reference, image by image.

All functions take maps of any shape ``(B, ...)`` and a mask of the same shape (True where the reference is valid);
sums, medians and fits run over the valid pixels of each image alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def rows(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Flatten two maps and their mask to ``(B, N)``; pixels outside the mask become 0 in both maps.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must have one shape")
    if mask is None:
        mask = torch.ones_like(target, dtype=torch.bool)
    if mask.shape != target.shape:
        raise ValueError(f"mask {tuple(mask.shape)} must have the shape of the target {tuple(target.shape)}")
    valid = mask.flatten(1).bool()
    # where, not a product: an invalid pixel may hold NaN or infinity, and 0 * NaN is NaN.
    p = torch.where(valid, prediction.flatten(1), torch.zeros_like(prediction.flatten(1)))
    g = torch.where(valid, target.flatten(1), torch.zeros_like(target.flatten(1)))
    return p, g, valid


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid entries of each row: ``(B, N)`` to ``(B,)``; 0 for a row without any."""
    weight = valid.to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)


def masked_median(values: Tensor, valid: Tensor) -> Tensor:
    """Median over the valid entries of each row, ``(B, N)`` to ``(B,)``: the mean of the two middle values when their
    number is even (numpy's definition, not torch's), differentiable; 0 for a row without any.
    """
    ordered = values.masked_fill(~valid, torch.inf).sort(1).values
    count = valid.sum(1)
    low, high = ((count - 1).clamp_min(0) // 2)[:, None], (count // 2)[:, None]
    low = torch.where(count[:, None] % 2 == 1, high, low)
    high = high.clamp_max(values.shape[1] - 1)
    middle = (ordered.gather(1, low) + ordered.gather(1, high))[:, 0] / 2
    return torch.where(count > 0, middle, torch.zeros_like(middle))


def _expand(value: Tensor, like: Tensor) -> Tensor:
    return value.reshape(-1, *([1] * (like.ndim - 1)))


def least_squares(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scale s and shift t, each ``(B,)``, that minimise sum (s p + t - g)^2 (MiDaS, Ranftl et al. 2020, eq. 2-4).

    Computed in centred form in float64: s = cov(p, g) / var(p), t = mean(g) - s mean(p). A constant prediction has
    s = 0 and t = mean(g).
    """
    p, g, valid = rows(prediction.double(), target.double(), mask)
    mean_p, mean_g = masked_mean(p, valid), masked_mean(g, valid)
    centred = p - mean_p[:, None]
    variance = masked_mean(centred**2, valid)
    covariance = masked_mean(centred * (g - mean_g[:, None]), valid)
    flat = variance <= torch.finfo(torch.float32).eps ** 2 * mean_p**2
    scale = (covariance / variance.masked_fill(flat, 1)).masked_fill(flat, 0)
    return scale.to(target.dtype), (mean_g - scale * mean_p).to(target.dtype)


def align_least_squares(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The prediction after the least-squares scale and shift; same shape, the target's unit."""
    scale, shift = least_squares(prediction, target, mask)
    return _expand(scale, prediction) * prediction + _expand(shift, prediction)


def align_median(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The prediction times median(g) / median(p), per image (the convention of monodepth2's evaluation)."""
    p, g, valid = rows(prediction, target, mask)
    ratio = masked_median(g, valid) / masked_median(p, valid).clamp_min(EPSILON)
    return _expand(ratio, prediction) * prediction


def depth_from_inverse(inverse: Tensor, depth: Tensor, mask: Tensor | None = None, floor: float = 1e-3) -> Tensor:
    """Depth from a relative inverse depth map, in the unit of the reference ``depth``.

    The map is fitted to 1 / depth by least squares, clipped at ``floor`` (in 1 / unit of depth, Marigold's 1e-3) and
    inverted: the evaluation rule for models whose output is disparity.
    """
    valid = (depth > 0) if mask is None else mask.bool() & (depth > 0)
    disparity = 1.0 / torch.where(valid, depth, torch.ones_like(depth))
    return 1.0 / align_least_squares(inverse, disparity, valid).clamp_min(floor)


def robust_statistics(values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Median and mean absolute deviation from it, each ``(B,)`` (MiDaS, Ranftl et al. 2020, eq. 5)."""
    flat, _, valid = rows(values, values, mask)
    median = masked_median(flat, valid)
    return median, masked_mean((flat - median[:, None]).abs(), valid)


def standardise(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Per image (d - median) / mean|d - median|: free of scale and shift, robust; same shape. Flat maps become 0."""
    median, deviation = robust_statistics(values, mask)
    return (values - _expand(median, values)) / _expand(deviation.clamp_min(EPSILON), values)


def align_robust(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """The prediction with the target's median and mean absolute deviation, per image.

    Unlike the least-squares fit it neither shrinks a map that agrees only loosely with the target nor turns its order
    round, so it suits the merging of two estimates, where the target is no truth.
    """
    median, deviation = robust_statistics(target, mask)
    return standardise(prediction, mask) * _expand(deviation, prediction) + _expand(median, prediction)

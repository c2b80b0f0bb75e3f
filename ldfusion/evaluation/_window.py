"""Local Gaussian statistics shared by VIF and SSIM."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class LocalMoments(NamedTuple):
    """Gaussian-weighted moments of two sources and the fused image around every pixel, float64."""

    mean_sources: Tensor
    """(B, 2, h, w)"""
    mean_fused: Tensor
    """(B, 1, h, w)"""
    variance_sources: Tensor
    """(B, 2, h, w), >= 0"""
    variance_fused: Tensor
    """(B, 1, h, w), >= 0"""
    covariance: Tensor
    """(B, 2, h, w), of each source with the fused image"""


def stack(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """The three images as channels visible, infrared, fused: (B, 3, H, W) float64."""
    return torch.cat([visible, infrared, fused], dim=1).double()


def local_moments(images: Tensor, kernel: Tensor, origin: float = 0.0) -> LocalMoments:
    """Moments of a `stack`, complete windows only: h = H - n + 1, w = W - n + 1.

    `origin` is subtracted from the grey values first: a mid-grey keeps the rounding of the variances small.
    """
    # One map at a time: it stays in the cache of a CPU, and the products of all pairs are never held together.
    visible, infrared, fused = (images - origin).split(1, dim=1)
    mean_sources = torch.cat([blur(visible, kernel), blur(infrared, kernel)], dim=1)
    mean_fused = blur(fused, kernel)
    square_sources = torch.cat([blur(visible.square(), kernel), blur(infrared.square(), kernel)], dim=1)
    covariance = torch.cat([blur(visible * fused, kernel), blur(infrared * fused, kernel)], dim=1)
    return LocalMoments(
        mean_sources + origin,
        mean_fused + origin,
        (square_sources - mean_sources.square()).clamp_min_(0),
        (blur(fused.square(), kernel) - mean_fused.square()).clamp_min_(0),
        covariance.sub_(mean_sources * mean_fused),
    )


def gaussian(size: int, sigma: float, like: Tensor) -> Tensor:
    """Sampled Gaussian of `size` taps and sum 1, shape (size,)."""
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    weights = torch.exp(-offsets.square() / (2 * sigma**2))
    return weights / weights.sum()


def blur(images: Tensor, kernel: Tensor) -> Tensor:
    """Separable filter without padding: (..., H, W) -> (..., H - n + 1, W - n + 1).

    Adding shifted slices is several times faster on a CPU than a convolution with one channel per group.
    """
    for axis in (-1, -2):
        length = images.shape[axis] - kernel.numel() + 1
        taps = kernel.tolist()
        total = images.narrow(axis, 0, length) * taps[0]
        for shift, weight in enumerate(taps[1:], start=1):
            total.add_(images.narrow(axis, shift, length), alpha=weight)
        images = total
    return images

"""Local Gaussian statistics shared by VIF and SSIM, computed in strips of rows that stay in a processor's cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

STRIP_ROWS = 64
"""Rows of a strip; VIF relies on this bound, see `ldfusion.evaluation.information`."""


class LocalMoments(NamedTuple):
    """Gaussian-weighted moments of two sources and the fused image around every pixel, float64.

    S is the batch size of the sources: 1 where all fused images share them, else B.
    """

    mean_sources: Tensor
    """(S, 2, h, w)"""
    mean_fused: Tensor
    """(B, 1, h, w)"""
    variance_sources: Tensor
    """(S, 2, h, w), >= 0"""
    variance_fused: Tensor
    """(B, 1, h, w), >= 0"""
    covariance: Tensor
    """(B, 2, h, w), of each source with the fused image"""


def pair_up(visible: Tensor, infrared: Tensor) -> Tensor:
    """The two sources as channels visible, infrared: (S, 2, H, W) float64."""
    if visible.shape[0] != infrared.shape[0]:
        batch = max(visible.shape[0], infrared.shape[0])
        visible, infrared = (image.expand(batch, -1, -1, -1) for image in (visible, infrared))
    return torch.cat([visible, infrared], dim=1).double()


def local_moments(
    sources: Tensor, fused: Tensor, kernel: Tensor, origin: float = 0.0, ceiling: float | None = None
) -> Iterator[LocalMoments]:
    """Moments strip by strip, complete windows only: all strips together have H - n + 1 rows of W - n + 1.

    Args:
        sources: (S, 2, H, W) of `pair_up`.
        fused: (B, 1, H, W) float64.
        kernel: (n,) window weights along each axis, sum 1.
        origin: subtracted from the grey values first; a mid-grey keeps the rounding of the variances small.
        ceiling: products of grey values are cut here, as 8-bit arithmetic does (origin 0 only).
    """
    reach = kernel.numel() - 1
    for rows in strips(fused.shape[-2] - reach, reach):
        s, f = sources[..., rows, :], fused[..., rows, :]
        if origin:
            s, f = s - origin, f - origin
        products = s * s, f * f, s * f
        if ceiling is not None:
            products = products[0].clamp_max(ceiling), products[1].clamp_max(ceiling), products[2].clamp_max(ceiling)
        mean_s, mean_f = blur(s, kernel), blur(f, kernel)
        square_s, square_f, mixed = (blur(product, kernel) for product in products)
        yield LocalMoments(
            mean_s + origin if origin else mean_s,
            mean_f + origin if origin else mean_f,
            square_s.addcmul_(mean_s, mean_s, value=-1).clamp_min_(0),
            square_f.addcmul_(mean_f, mean_f, value=-1).clamp_min_(0),
            mixed.addcmul_(mean_s, mean_f, value=-1),
        )


def strips(height: int, reach: int = 0) -> Iterator[slice]:
    """Slices of at most `STRIP_ROWS` + ``reach`` rows that together cover ``height`` rows, overlapping by ``reach``."""
    for start in range(0, height, STRIP_ROWS):
        yield slice(start, min(start + STRIP_ROWS, height) + reach)


def blur(images: Tensor, kernel: Tensor) -> Tensor:
    """Separable filter without padding: (..., H, W) -> (..., H - n + 1, W - n + 1).

    Adding shifted slices is several times faster on a CPU than a convolution with one channel per group.
    """
    taps = kernel.tolist()
    for axis in (-2, -1):
        length = images.shape[axis] - len(taps) + 1
        total = images.narrow(axis, 0, length) * taps[0]
        for shift, weight in enumerate(taps[1:], start=1):
            total.add_(images.narrow(axis, shift, length), alpha=weight)
        images = total
    return images

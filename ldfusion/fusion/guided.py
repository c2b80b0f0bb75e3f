"""The guided filter (He, Sun and Tang, "Guided Image Filtering", TPAMI 35(6), 2013), batched in torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _mirrored(length: int, radius: int, device: torch.device) -> Tensor:
    """Indices of a line extended by ``radius`` on both sides, the border pixel repeated (OpenCV's BORDER_REFLECT)."""
    index = torch.arange(-radius, length + radius, device=device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over windows of side 2 radius + 1 of (B, C, H, W), mirrored at the border; same shape."""
    height, width = image.shape[-2:]
    padded = image[..., _mirrored(height, radius, image.device), :]
    rows = F.avg_pool2d(padded, (2 * radius + 1, 1), stride=1)
    padded = rows[..., _mirrored(width, radius, image.device)]
    return F.avg_pool2d(padded, (1, 2 * radius + 1), stride=1)


def guided_filter(guide: Tensor, image: Tensor, radius: int, epsilon: float) -> Tensor:
    """Edge-preserving smoothing of ``image`` along the edges of ``guide`` (eqs. 5, 6 and 8 of the paper).

    a = cov(guide, image) / (var(guide) + epsilon), b = mean(image) - a mean(guide), result = mean(a) guide + mean(b).

    Args:
        guide: (B, 1, H, W) in [0, 1].
        image: (B, 1, H, W).
        radius: window side is 2 radius + 1, pixels.
        epsilon: variance below which the guide counts as flat.
    """
    mean_guide, mean_image = box_mean(guide, radius), box_mean(image, radius)
    variance = box_mean(guide * guide, radius) - mean_guide**2
    covariance = box_mean(guide * image, radius) - mean_guide * mean_image
    a = covariance / (variance + epsilon)
    b = mean_image - a * mean_guide
    return box_mean(a, radius) * guide + box_mean(b, radius)


def local_contrast(image: Tensor, gain: float, radius: int = 16, epsilon: float = 0.01) -> Tensor:
    """Detail above the edge-preserving base times 1 + gain, (B, 1, H, W) in [0, 1], clamped.

    The base keeps strong edges, so that unlike an unsharp mask no halo comes up along them.
    """
    return (image + gain * (image - guided_filter(image, image, radius, epsilon))).clamp(0, 1)

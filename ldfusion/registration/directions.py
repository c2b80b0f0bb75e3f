"""Maps of edges by direction: what a visible and an infrared image of one place have in common.

An edge may be bright on dark in one sensor and dark on bright in the other, faint in one and strong in the other. Its
place and its direction without sign are the same (oriented gradients for multimodal matching: Ye et al. 2019, CFOG).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.filters import gaussian_taps
from ldfusion.registration.contours import gaussian_blur, sobel_gradient

DIRECTIONS = 6
_SHARPNESS = 3
"""Exponent of the squared cosine that tells an edge's share in a direction."""
_NEIGHBOURHOOD = 10.0
"""Sigma in pixels of the surroundings an edge is measured against."""
_SLOW = 4.0
"""What varies over this many times the smoothing is taken away."""


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of (1, C, H, W), zeros beyond the border; wide ones on a reduced picture."""
    factor = max(1, int(sigma // 4))
    if factor > 1:
        small = smooth(F.avg_pool2d(maps, factor, ceil_mode=True, count_include_pad=False), sigma / factor)
        return F.interpolate(small, size=maps.shape[-2:], mode="bilinear", align_corners=False)
    half = math.ceil(3 * sigma)
    taps = gaussian_taps(2 * half + 1, sigma, maps)
    columns = F.conv2d(maps.transpose(0, 1), taps.view(1, 1, 1, -1), padding=(0, half))
    return F.conv2d(columns, taps.view(1, 1, -1, 1), padding=(half, 0)).transpose(0, 1)


def edge_directions(image: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Edges by direction.

    Args:
        image: (1, 1, H, W) in [0, 1].
        seen: (1, 1, H, W), 1 where it holds data.

    Returns:
        Maps (1, DIRECTIONS, H, W) in [0, 1), and where they hold data: a border inside ``seen`` is left out.
    """
    gradient = sobel_gradient(gaussian_blur(image, sigma=1.0))
    inner = (F.avg_pool2d(F.pad(seen, (2, 2, 2, 2), value=1.0), 5, 1) > 0.999).float()
    strength = gradient.square().sum(1, keepdim=True).sqrt() * inner
    around = smooth(strength, _NEIGHBOURHOOD) / (smooth(inner, _NEIGHBOURHOOD) + 1e-3)
    relative = strength / (strength + 1.5 * around + 2 / 255)
    angle = torch.atan2(gradient[:, 1:], gradient[:, :1])
    centres = torch.arange(DIRECTIONS, device=image.device).view(1, -1, 1, 1) * (math.pi / DIRECTIONS)
    return relative * torch.cos(angle - centres).square() ** _SHARPNESS, inner


def detail(maps: Tensor, seen: Tensor, sigma: float) -> Tensor:
    """Maps smoothed by ``sigma`` pixels, minus their mean over the wider surroundings."""
    wide = _SLOW * sigma
    return (smooth(maps, sigma) - smooth(maps, wide) / (smooth(seen, wide) + 1e-3)) * seen

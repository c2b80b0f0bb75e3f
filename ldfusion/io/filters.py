"""Linear filters (Sobel, Gaussian, box) and the guided filter (He, Sun and Tang, "Guided Image Filtering", TPAMI 35(6),
2013), batched in torch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sobel(image: Tensor, border: str = "replicate") -> Tensor:
    """3x3 Sobel derivatives (B, 2, H, W), x then y, of (B, 1, H, W); a unit step along an axis gives 4.

    Args:
        image: any range.
        border: how the picture goes on, a mode of `torch.nn.functional.pad`.
    """
    x = image.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode=border), torch.stack([x, x.T])[:, None])


def gaussian_taps(size: int, sigma: float, like: Tensor) -> Tensor:
    """Sampled Gaussian of ``size`` taps and sum 1, (size,), around their middle; of the type of ``like``."""
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    taps = torch.exp(-offsets.square() / (2 * sigma**2))
    return taps / taps.sum()


def gaussian_blur(image: Tensor, size: int, sigma: float) -> Tensor:
    """Gaussian filter of (B, 1, H, W) with ``size`` taps (odd) and ``sigma`` pixels, mirrored at the border."""
    half, taps = size // 2, gaussian_taps(size, sigma, image)
    padded = F.pad(image, (half, half, half, half), mode="reflect")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, size)), taps.view(1, 1, size, 1))


def _mirrored(length: int, radius: int, repeat: bool, device: torch.device) -> Tensor:
    """Indices of a line extended by ``radius`` on both sides; ``repeat``: the border pixel stands twice."""
    period = 2 * length if repeat else max(2 * length - 2, 1)
    index = torch.arange(-radius, length + radius, device=device) % period
    return torch.where(index < length, index, period - repeat - index)


def box_mean(image: Tensor, radius: int, repeat_border: bool = True) -> Tensor:
    """Mean over windows of side 2 radius + 1 of (B, C, H, W), mirrored at the border; same shape.

    Args:
        image: any range.
        radius: pixels; may be larger than the image.
        repeat_border: mirror with the border pixel repeated (OpenCV's BORDER_REFLECT, the guided filter's rule), or
            without (BORDER_REFLECT_101, the rule of ``cv2.blur``).
    """
    side = 2 * radius + 1
    # Running sums: the time does not grow with the radius. In double precision, or the differences would lose digits.
    result = image.double()
    for axis in (-2, -1):
        length = image.shape[axis]
        index = _mirrored(length, radius, repeat_border, image.device)
        sums = F.pad(result.index_select(axis, index).cumsum(axis), (1, 0) if axis == -1 else (0, 0, 1, 0))
        result = (sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)) / side
    return result.to(image.dtype)


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

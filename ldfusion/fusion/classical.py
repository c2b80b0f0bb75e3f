"""Fusion without learning: the mean, the maximum, the Laplacian pyramid, and the overlay of infrared on colour.

Mean, maximum and pyramid, the yardsticks of every table, fuse luma only and return it in the colours of the visible
image.
Inputs are float in [0, 1]: visible (B, 3, H, W) or grey (B, 1, H, W), infrared (B, 1, H, W); the output has the
channels of the visible image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.errors import InputError
from ldfusion.io.color import luma, with_luma

SMALLEST_COARSE_SIDE = 2
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def mean_fusion(visible: Tensor, infrared: Tensor) -> Tensor:
    """F = (Y + IR) / 2, with the chroma of the visible image."""
    return _with_visible_chroma(lambda luma: (luma + infrared) / 2, visible)


def maximum_fusion(visible: Tensor, infrared: Tensor, stretched: bool = False) -> Tensor:
    """F = max(Y, IR), with the chroma of the visible image.

    The yardstick of a claim: the brighter of two pixels, without a parameter and without a look at the scene, is ahead
    of most networks in several of the usual metrics, so that a method which leads only where this one leads has proved
    little. Stretched it shows in addition what those metrics pay for a stretched output alone.

    Args:
        visible: (B, 3, H, W) or (B, 1, H, W) in [0, 1].
        infrared: (B, 1, H, W) in [0, 1].
        stretched: bring the least luma of each whole image to 0 and the largest to 1; no other method does that. An
            image of one single value is left as it is.
    """

    def fuse(luma: Tensor) -> Tensor:
        fused = torch.maximum(luma, infrared)
        return _stretch(fused) if stretched else fused

    return _with_visible_chroma(fuse, visible)


def alpha_blend(visible: Tensor, grey: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) visible + alpha grey, channel by channel: an overlay, which pales the colours.

    Args:
        visible: (B, 3, H, W) or (B, 1, H, W) in [0, 1].
        grey: (B, 1, H, W) in [0, 1], the infrared image or a fused luma.
        alpha: weight of ``grey`` in [0, 1].
    """
    return torch.lerp(visible, grey.expand_as(visible), alpha)


def laplacian_fusion(visible: Tensor, infrared: Tensor, levels: int = 4) -> Tensor:
    """Laplacian pyramid fusion (Burt and Adelson, 1983): the stronger detail of the two, the mean of the bases.

    Args:
        visible: (B, 3, H, W) or (B, 1, H, W) in [0, 1].
        infrared: (B, 1, H, W) in [0, 1].
        levels: number of detail images above the base; fewer are used for an image too small for them.
    """
    return _with_visible_chroma(lambda luma: _fuse_pyramids(luma, infrared, levels), visible)


def _stretch(image: Tensor) -> Tensor:
    """Each image of (B, 1, H, W) from its least to its largest value, to [0, 1]."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    return torch.where(high > low, (image - low) / (high - low), image)


def _with_visible_chroma(fuse: Callable[[Tensor], Tensor], visible: Tensor) -> Tensor:
    if visible.shape[1] == 1:
        return fuse(visible).clamp(0, 1)
    return with_luma(visible, fuse(luma(visible)))


def _fuse_pyramids(first: Tensor, second: Tensor, levels: int) -> Tensor:
    details: list[Tensor] = []
    while len(details) < levels and min(first.shape[-2:]) >= 2 * SMALLEST_COARSE_SIDE:
        (coarse_first, detail_first), (coarse_second, detail_second) = _split(first), _split(second)
        details.append(torch.where(detail_first.abs() >= detail_second.abs(), detail_first, detail_second))
        first, second = coarse_first, coarse_second
    fused = (first + second) / 2
    for detail in reversed(details):
        fused = _up(fused, detail.shape[-2:]) + detail
    return fused


def _split(image: Tensor) -> tuple[Tensor, Tensor]:
    """Half-size image and the detail it lacks: image = up(coarse) + detail."""
    coarse = _down(image)
    return coarse, image - _up(coarse, image.shape[-2:])


def _down(image: Tensor) -> Tensor:
    """Binomial 5 x 5 filter with mirrored border, every second pixel kept."""
    kernel = image.new_tensor(_BINOMIAL)
    padded = functional.pad(image, (2, 2, 2, 2), mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, 5), stride=(1, 2))
    return functional.conv2d(rows, kernel.view(1, 1, 5, 1), stride=(2, 1))


def _up(image: Tensor, size: torch.Size) -> Tensor:
    """Twice the size by the same filter on a grid with zeros between the pixels, cropped to `size`."""
    for axis, length in zip((-2, -1), size, strict=True):
        count = image.shape[axis]
        # The pixel before the first mirrors the second, the one after the last repeats it (as in OpenCV's pyrUp).
        before, after = image.narrow(axis, 1, 1), image.narrow(axis, count - 1, 1)
        padded = torch.cat([before, image, after], dim=axis)
        left, right = padded.narrow(axis, 0, count), padded.narrow(axis, 2, count)
        on_pixel, between = (left + 6 * image + right) / 8, (image + right) / 2
        image = torch.stack([on_pixel, between], dim=axis).flatten(axis - 1, axis)
        image = image.narrow(axis, 0, length)
    return image


def check_alpha(alpha: float) -> float:
    """``alpha`` if it lies in [0, 1].

    Raises:
        InputError: it does not.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha {alpha:g}: give a weight from 0 (visible alone) to 1")
    return alpha

"""Luma and chroma (ITU-R BT.601, full range) and the four-channel stack of the diffusion network.

Images are ``(..., 3, H, W)`` in [0, 1], leading dimensions free. The forward constants are those of the SeAFusion code
and of common image libraries: Y = 0.299 R + 0.587 G + 0.114 B, Cr = 0.713 (R - Y) + 0.5, Cb = 0.564 (B - Y) + 0.5.
The way back is solved from the same numbers instead of the usual rounded ones (1.403, 0.714, 0.344, 1.773), so that a
round trip is exact up to float32 rounding (< 1e-6); with the rounded ones it is off by up to 5e-4.
"""

from __future__ import annotations

import torch
from torch import Tensor

RED, GREEN, BLUE = 0.299, 0.587, 0.114
CR_SCALE, CB_SCALE = 0.713, 0.564


def luma(rgb: Tensor) -> Tensor:
    """BT.601 luma Y, ``(..., 3, H, W)`` -> ``(..., 1, H, W)``, [0, 1] for colours in [0, 1]."""
    red, green, blue = _channels(rgb, "rgb")
    return RED * red + GREEN * green + BLUE * blue


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """``(..., 3, H, W)`` in [0, 1] -> Y, Cb, Cr in that order, same shape; Y in [0, 1], grey has Cb = Cr = 0.5."""
    red, _, blue = _channels(rgb, "rgb")
    y = luma(rgb)
    return torch.cat([y, CB_SCALE * (blue - y) + 0.5, CR_SCALE * (red - y) + 0.5], dim=-3)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """Inverse of ``rgb_to_ycbcr``. Not clipped: a new luma under old chroma can leave [0, 1], the caller clamps it."""
    y, cb, cr = _channels(ycbcr, "ycbcr")
    red = y + (cr - 0.5) / CR_SCALE
    blue = y + (cb - 0.5) / CB_SCALE
    green = (y - RED * red - BLUE * blue) / GREEN
    return torch.cat([red, green, blue], dim=-3)


def with_luma(visible: Tensor, luma: Tensor) -> Tensor:
    """The colours of ``visible`` under a new luma: ``(..., 3, H, W)`` and ``(..., 1, H, W)`` -> ``(..., 3, H, W)``.

    The chroma is kept and both luma and result are clamped to [0, 1].
    """
    chroma = rgb_to_ycbcr(visible)[..., 1:, :, :]
    return ycbcr_to_rgb(torch.cat([luma.clamp(0, 1), chroma], dim=-3)).clamp(0, 1)


def to_stack(visible: Tensor, infrared: Tensor) -> Tensor:
    """Visible ``(B, 3, H, W)`` and infrared ``(B, 1, H, W)`` in [0, 1] -> [R, G, B, IR] ``(B, 4, H, W)`` in [-1, 1].

    Raises:
        ValueError: other channels, or two sizes.
    """
    if visible.shape[-3] != 3 or infrared.shape[-3] != 1 or visible.shape[-2:] != infrared.shape[-2:]:
        raise ValueError(
            "need visible (B, 3, H, W) and infrared (B, 1, H, W) of one size, "
            f"got {tuple(visible.shape)} and {tuple(infrared.shape)}"
        )
    return torch.cat([visible, infrared], dim=-3) * 2 - 1


def from_stack(stack: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of ``to_stack``: ``(B, 4, H, W)`` in [-1, 1] -> visible ``(B, 3, H, W)`` and infrared in [0, 1].

    Raises:
        ValueError: other channels.
    """
    if stack.shape[-3] != 4:
        raise ValueError(f"need a stack (B, 4, H, W), got {tuple(stack.shape)}")
    visible, infrared = ((stack + 1) / 2).split([3, 1], dim=-3)
    return visible, infrared


def _channels(image: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"{name} must be (..., 3, H, W), got {tuple(image.shape)}")
    first, second, third = image.split(1, dim=-3)
    return first, second, third

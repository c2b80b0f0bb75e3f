"""Whether a fused image keeps the colours of the visible one: CIEDE2000 at equal lightness.

Fusion changes lightness on purpose, so that both images are given the lightness of the visible one, and only what
differs in chroma and hue is left. Colours are sRGB under D65 (IEC 61966-2-1), CIELAB against the white of that space.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ldfusion.evaluation._luma import undefined
from ldfusion.evaluation._window import strips

GREY_SPREAD = 2
"""Largest difference of an image's channels [8-bit codes] up to which it is grey (rounding of JPEG files)."""
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_KNEE, _SLOPE = (6 / 29) ** 3, (29 / 6) ** 2 / 3
_HALF_TURN, _TURN = math.pi, 2 * math.pi


def colour_error(fused: Tensor, visible: Tensor) -> Tensor:
    """Mean CIEDE2000 difference of chroma and hue between fused and visible image, lower is better.

    Both have the lightness L* of the visible image. About 1 is just seen, side by side on large areas.

    Args:
        fused: (B, 3, H, W) sRGB on the 0..255 scale, of any type.
        visible: (B, 3, H, W) or, shared by all, (1, 3, H, W).

    Returns:
        (B,) float64; NaN where either image is grey, or has one channel and with it no colour.

    Raises:
        ValueError: other shapes.
    """
    for image in (fused, visible):
        if image.ndim != 4 or image.shape[1] not in (1, 3) or image.shape[0] not in (1, fused.shape[0]):
            raise ValueError(f"colours are (B, 3, H, W), got {tuple(fused.shape)} and {tuple(visible.shape)}")
        if image.shape[-2:] != fused.shape[-2:]:
            raise ValueError(f"sizes differ: fused {tuple(fused.shape)}, visible {tuple(image.shape)}")
    if fused.shape[1] == 1 or visible.shape[1] == 1:
        return undefined(fused)
    total = torch.zeros(fused.shape[0], dtype=torch.float64, device=fused.device)
    for rows in strips(fused.shape[-2], 0):
        lab = srgb_to_lab(visible[..., rows, :].double() / 255)
        other = srgb_to_lab(fused[..., rows, :].double() / 255)
        level = torch.cat([lab[:, :1].expand(len(other), -1, -1, -1), other[:, 1:]], dim=1)
        total += ciede2000(level, lab).sum((1, 2, 3))
    return torch.where(is_grey(fused) | is_grey(visible), torch.nan, total / fused[0, 0].numel())


def is_grey(image: Tensor) -> Tensor:
    """(B,) bool: the channels of (B, 3, H, W) on the 0..255 scale agree everywhere, but for `GREY_SPREAD`."""
    low, high = image.aminmax(dim=1)
    return (high - low).amax((1, 2)) <= GREY_SPREAD


def srgb_to_lab(image: Tensor) -> Tensor:
    """CIELAB of (B, 3, H, W) sRGB in [0, 1]: L* 0..100, a*, b*; exactly 0 for grey."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(_TO_XYZ, dtype=image.dtype, device=image.device)
    matrix = matrix / matrix.sum(1, keepdim=True)  # of the white point, so that white is 1, 1, 1
    xyz = torch.einsum("ij,bjhw->bihw", matrix, linear)
    x, y, z = torch.where(xyz > _KNEE, xyz.clamp_min(_KNEE) ** (1 / 3), _SLOPE * xyz + 4 / 29).split(1, dim=1)
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def ciede2000(first: Tensor, second: Tensor) -> Tensor:
    """CIEDE2000 difference of CIELAB colours, all weights 1 (Sharma, Wu and Dalal, 2005).

    Args:
        first, second: (B, 3, H, W) L*, a*, b*; one of them may have the batch size 1.

    Returns:
        (B, 1, H, W), 0 for equal colours.
    """
    lightness_1, a_1, b_1 = first.split(1, dim=1)
    lightness_2, a_2, b_2 = second.split(1, dim=1)
    # low chromas count more along a*
    stretch = 1.5 - 0.5 * _share_of_seventh((torch.hypot(a_1, b_1) + torch.hypot(a_2, b_2)) / 2)
    a_1, a_2 = a_1 * stretch, a_2 * stretch
    chroma_1, chroma_2 = torch.hypot(a_1, b_1), torch.hypot(a_2, b_2)
    hue_1, hue_2 = torch.atan2(b_1, a_1) % _TURN, torch.atan2(b_2, a_2) % _TURN
    coloured = chroma_1 * chroma_2 > 0
    turn = hue_2 - hue_1
    turn = torch.where(turn > _HALF_TURN, turn - _TURN, torch.where(turn < -_HALF_TURN, turn + _TURN, turn))
    # a grey has no hue: the mean is that of the other colour, whose partner's is 0
    hue = torch.where(coloured, hue_1 + turn / 2, hue_1 + hue_2)
    lightness, chroma = (lightness_1 + lightness_2) / 2, (chroma_1 + chroma_2) / 2

    by_hue = 1 - 0.17 * torch.cos(hue - math.radians(30)) + 0.24 * torch.cos(2 * hue)
    by_hue = by_hue + 0.32 * torch.cos(3 * hue + math.radians(6)) - 0.20 * torch.cos(4 * hue - math.radians(63))
    off = (lightness - 50).square()
    in_lightness = (lightness_2 - lightness_1) / (1 + 0.015 * off / (20 + off).sqrt())
    in_chroma = (chroma_2 - chroma_1) / (1 + 0.045 * chroma)
    in_hue = 2 * (chroma_1 * chroma_2).sqrt() * torch.sin(turn / 2) / (1 + 0.015 * chroma * by_hue)
    from_blue = (hue % _TURN - math.radians(275)) / math.radians(25)
    rotation = -2 * _share_of_seventh(chroma) * torch.sin(math.radians(60) * torch.exp(-from_blue.square()))
    squared = in_lightness.square() + in_chroma.square() + in_hue.square() + rotation * in_chroma * in_hue
    return squared.clamp_min(0).sqrt()


def _share_of_seventh(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7)): 0 for greys, towards 1 for vivid colours."""
    seventh = chroma**7
    return (seventh / (seventh + 25.0**7)).sqrt()

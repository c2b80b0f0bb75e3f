"""The infrared image brought onto the pixels of the visible one: one resampling, one fill and one feather for all.

Pictures, folders, videos and data sets go through here, so that a pair that is registered first and fused then is the
same as one that is registered while it is fused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.io.color import luma
from ldfusion.io.filters import box_mean
from ldfusion.io.size import match_infrared, resize
from ldfusion.registration.methods import Registrar, settle
from ldfusion.registration.warp import Size, inside, registration_points, sample
from ldfusion.types import Pair, Registration

FEATHER = 12
"""Pixels inside the border of a registered infrared image over which it comes in."""


def align(pair: Pair, registrar: Registrar | None = None) -> Pair:
    """The pair with its infrared image, and its temperature, on the visible image's pixels.

    Args:
        pair: its infrared image (1, 1, h, w) may have any size; a ``registration`` that it has already is used.
        registrar: finds the transform. Where the infrared image has no data the visible luma stands in, see `place`. A
            result that is not trusted leaves the image resized, as no registrar does.

    Returns:
        A pair whose ``infrared`` and ``temperature`` are (1, 1, H, W), with the ``registration`` that was found.
    """
    found, size = pair.registration, (int(pair.visible.shape[-2]), int(pair.visible.shape[-1]))
    if found is None and registrar is not None:
        found = settle(registrar(pair.visible, pair.infrared), pair.visible, pair.infrared)
    if found is None or not found.trusted:
        infrared = match_infrared(pair.visible, pair.infrared, pair.name)
        degrees = None if pair.temperature is None else resize(pair.temperature, size)
        return replace(pair, infrared=infrared, temperature=degrees, registration=found)
    points = registration_points(found, size)
    warped, mask = resample(pair.infrared, points)
    degrees = pair.temperature
    if degrees is not None:  # bilinear, which makes no temperature that is not there
        degrees = torch.where(mask, sample(degrees, points), torch.nan)
    infrared = place(warped.clamp(0, 1), mask, pair.visible)
    return replace(pair, infrared=infrared, temperature=degrees, registration=found)


def resample(infrared: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Show an infrared image (B, C, h, w) at the pixels (H, W, 2) that visible pixels see.

    Bicubic: a bilinear one would cost a twentieth of the spatial frequency of the fused image.

    Returns:
        (B, C, H, W), the border repeated outside, and the (1, 1, H, W) bool mask of the pixels that it covers. Values
        may pass the range of the image a little.
    """
    mask = inside(points, (int(infrared.shape[-2]), int(infrared.shape[-1])))[None, None]
    return sample(infrared, points.to(infrared.device), "bicubic"), mask


def feather(mask: Tensor, width: int = FEATHER) -> Tensor:
    """Weight of the infrared image (1, 1, H, W): 0 at the border of the mask, rising to 1 over ``width`` pixels."""
    return (2 * box_mean(mask.float(), width) - 1).clamp(0, 1)


def place(infrared: Tensor, mask: Tensor, visible: Tensor, weight: Tensor | None = None) -> Tensor:
    """Give the pixels without infrared data the luma of the visible image, faded in so that no seam is seen.

    Where both inputs agree, every fusion rule returns what they agree on: the fused image keeps the brightness of the
    visible one there and is never darkened by missing data.

    Args:
        infrared: resampled, (B, 1, H, W) in [0, 1].
        mask: (1 or B, 1, H, W) bool, True where there are infrared data.
        visible: (B, 3, H, W) in [0, 1].
        weight: of the infrared image, `feather` of the mask by default.

    Returns:
        (B, 1, H, W) in [0, 1].
    """
    weight = feather(mask) if weight is None else weight
    grey = luma(visible)
    filled = torch.where(mask.to(infrared.device), infrared, grey)
    return torch.lerp(grey, filled, weight.to(filled))


def align_stored(array: NDArray[Any], registration: Registration, size: Size, outside: float = 0.0) -> NDArray[Any]:
    """Align an image as it is stored, (h, w) or (h, w, C) of any dtype, which is kept like its channels.

    Where it has no data the result is ``outside``.

    Values stay within those of the image.
    """
    channels = array[..., None] if array.ndim == 2 else array
    # float64 holds every integer of a file exactly
    image = torch.from_numpy(np.ascontiguousarray(channels.astype(np.float64).transpose(2, 0, 1)))[None]
    warped, mask = resample(image, registration_points(registration, size))
    kept = warped.clamp(image.min(), image.max())
    result = torch.where(mask, kept, outside)[0].permute(1, 2, 0).numpy()
    if array.dtype.kind in "ui":
        result = np.rint(result)
    result = result.astype(array.dtype)
    return result[..., 0] if array.ndim == 2 else result

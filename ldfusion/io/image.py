"""Image files to float32 tensors in [0, 1]: the one reader of the project. Writing is `ldfusion.io.png`.

8-bit values are divided by 255 and 16-bit visible ones by 65535, nothing is stretched. The exception is infrared of
more than 8 bits, whose values go through the gain of ``ldfusion.io.thermal``, which says so in the log, and visible
files of 16 bits that use fewer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.io.decode import drop_alpha, read_raw
from ldfusion.io.notices import notice
from ldfusion.io.palette import to_grey, told_palette
from ldfusion.io.pixels import MAX_PIXELS, MIN_SIDE
from ldfusion.io.png import stored_suffix, write_png, write_png16, write_stored
from ldfusion.io.radiometric import ThermalImage, read_thermal
from ldfusion.io.thermal import Limits, ThermalOptions, linear_gain, to_display

__all__ = [
    "COLOR_MAP_SPREAD",
    "MAX_PIXELS",
    "MIN_SIDE",
    "channel_spread",
    "display_of",
    "read_infrared",
    "read_raw",
    "read_visible",
    "stored_suffix",
    "write_png",
    "write_png16",
    "write_stored",
]

_GREY_SPREAD = 2 / 255  # channels this close are one grey value after JPEG rounding
COLOR_MAP_SPREAD = 4 / 255  # mean over the image; grey stored as colour stays far below, a colour map far above
_FEWER_BITS = (8, 10, 12, 14)


def read_visible(path: str | Path, max_pixels: int = MAX_PIXELS, page: int | None = None) -> tuple[Tensor, bool]:
    """Read a visible image.

    16-bit files whose values need 10, 12 or 14 bits only are scaled by those. Transparent parts show white paper.

    Returns:
        ``(3, H, W)`` float32 RGB in [0, 1], and whether the picture is grey: one channel, which is repeated, or three
        channels that agree everywhere.

    Raises:
        InputError: see ``read_raw``; also float values outside [0, 1] and integers other than 8 or 16 bits unsigned.
    """
    raw = on_white(read_raw(path, max_pixels, page), str(path))
    if raw.dtype.kind == "f":
        low, high = float(raw.min()), float(raw.max())
        if low < 0 or high > 1:
            raise InputError(f"{path} holds float values {low:g}..{high:g}; a visible image needs 0..1, 8 or 16 bits")
    elif raw.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} holds {raw.dtype} values; a visible image needs 8 or 16 bits unsigned, or float")
    largest = _largest(raw, path)
    if raw.ndim == 2:
        return _to_unit(raw, largest).expand(3, -1, -1).contiguous(), True
    is_grey = channel_spread(raw)[0] <= _GREY_SPREAD  # first, while the floats are not there yet
    return _to_unit(raw, largest), is_grey


def read_infrared(
    path: str | Path,
    limits: Limits | None = None,
    max_pixels: int = MAX_PIXELS,
    options: ThermalOptions | None = None,
) -> Tensor:
    """Read an infrared image.

    Thermal files give their thermal values (see `ldfusion.io.radiometric.read_thermal`). 8 bits are divided by 255;
    more bits, float and degrees go through the percentile gain of ``ldfusion.io.thermal``. Three channels that agree
    are one; a picture in the colours of a palette is turned back to grey by the palette's order.

    Args:
        limits: fixed (low, high), mapped to 0 and 1, at any bit depth: in degrees C where the file's are known, else
            in its own units; steadies a sequence. Goes before those of ``options``.
        options: unit, limits and page.

    Returns:
        ``(1, H, W)`` float32 in [0, 1].

    Raises:
        InputError: see ``read_raw``; also limits that are not low < high.
    """
    image = read_thermal(path, options, max_pixels)
    return display_of(image, str(path), limits if limits is not None or options is None else options.limits)[0]


def display_of(image: ThermalImage, name: str, limits: Limits | None = None) -> tuple[Tensor, Limits | None]:
    """A thermal image as ``(1, H, W)`` float32 in [0, 1], and the limits used; None for a picture of 8 bits."""
    raw = _single_channel(image.values, name) if image.values.ndim == 3 else image.values
    if raw.dtype != np.uint8:
        display, limits = to_display(raw, name, limits, image.celsius)
    elif limits is not None:
        display = linear_gain(raw, limits)
    else:
        return _to_unit(raw), None
    return torch.from_numpy(display)[None], limits


def photo_of(pixels: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8, as a thermal file holds its photo, as (1, 3, H, W) float32 in [0, 1]."""
    return _to_unit(pixels)[None]


def on_white(raw: NDArray[Any], name: str) -> NDArray[Any]:
    """Lay an array of `read_raw` with transparency on white: ``(H, W)`` or ``(H, W, 3)``, same type.

    A picture that is transparent everywhere is taken as it is, without its transparency.
    """
    if raw.ndim == 2 or raw.shape[-1] == 3:
        return raw
    colour, alpha = drop_alpha(raw), raw[..., -1]
    full = 1 if raw.dtype.kind == "f" else np.iinfo(raw.dtype).max
    if bool((alpha == full).all()):
        return colour
    if not alpha.any():
        notice(f"{name} is wholly transparent; its transparency is left out")
        return colour
    notice(f"{name} is transparent in parts; white shows through them")
    share = (alpha.astype(np.float32) / full)[..., None] if colour.ndim == 3 else alpha.astype(np.float32) / full
    mixed = colour * share + full * (1 - share)
    return (mixed if raw.dtype.kind == "f" else np.rint(mixed)).astype(raw.dtype)


def _largest(raw: NDArray[Any], path: str | Path) -> float:
    """The value that stands for white: of 16-bit files that use fewer bits, the largest of those bits."""
    if raw.dtype.kind == "f":
        return 1
    full = int(np.iinfo(raw.dtype).max)
    if raw.dtype != np.uint16:
        return full
    highest = int(raw.max())
    for bits in _FEWER_BITS:
        if 0 < highest < 2**bits:
            notice(f"{path} uses {bits} of its 16 bits: {2**bits - 1} is taken for white")
            return 2**bits - 1
    return full


def _to_unit(raw: NDArray[Any], largest: float | None = None) -> Tensor:
    """``(H, W)`` or ``(H, W, 3)`` to ``(1 or 3, H, W)`` float32, divided by ``largest``, by default the type's.

    Channel by channel into the result, so that nothing of its size is made on the way.
    """
    scale = np.float32(largest or (1 if raw.dtype.kind == "f" else np.iinfo(raw.dtype).max))
    channels = raw[..., None] if raw.ndim == 2 else raw
    image = np.empty((channels.shape[2], *channels.shape[:2]), dtype=np.float32)
    for index, channel in enumerate(image):
        np.divide(channels[..., index], scale, out=channel, dtype=np.float32)
    return torch.from_numpy(image)


def channel_spread(raw: NDArray[Any]) -> tuple[float, float]:
    """Largest minus smallest channel of (H, W, 3): maximum and mean over the image, as parts of the type's range."""
    red, green, blue = cv2.split(np.ascontiguousarray(raw))
    highest = cv2.max(cv2.max(red, green), blue)
    lowest = cv2.min(cv2.min(red, green), blue)
    full = _type_range(raw)
    difference = highest - lowest
    return float(difference.max()) / full, float(difference.mean()) / full


def _type_range(raw: NDArray[Any]) -> float:
    return 1.0 if raw.dtype.kind == "f" else float(np.iinfo(raw.dtype).max)


def _single_channel(raw: NDArray[Any], path: str | Path) -> NDArray[Any]:
    if raw.dtype.kind == "f" or raw.dtype not in (np.uint8, np.uint16):
        same = bool((raw == raw[..., :1]).all())
    else:
        same = channel_spread(raw)[1] <= COLOR_MAP_SPREAD
    if same:
        return raw[..., 1]
    eight = raw if raw.dtype == np.uint8 else (raw.astype(np.float32) / _type_range(raw) * 255).round().astype(np.uint8)
    name = told_palette(path, eight)
    if name is not None:
        return to_grey(eight, name)
    luminance = luma(torch.from_numpy(raw.astype(np.float32)).permute(2, 0, 1))[0].numpy()
    return np.rint(luminance).astype(raw.dtype) if raw.dtype.kind != "f" else luminance

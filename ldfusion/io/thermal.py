"""Thermal counts to display range: what happens to 16-bit and float infrared images before a network sees them.

An uncooled camera delivers 14- or 16-bit counts (or temperatures) of which one scene fills a few hundred, so that
dividing by 65535 gives a black image. A linear gain between two percentiles of the image is used instead, as the
cameras' own "linear AGC" does. It depends on the image: give fixed limits to keep a sequence steady.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io.notices import notice

PERCENTILES = (0.5, 99.5)
"""Default share of pixels, in percent, below which an image is black and above which it is white."""

Limits = tuple[float, float]


def percentile_limits(counts: NDArray, percentiles: tuple[float, float] = PERCENTILES) -> Limits:
    """The values (low, high) of an image that a percentile gain maps to 0 and 1.

    Args:
        counts: any shape, any real type, finite.
        percentiles: 0 <= first < second <= 100.

    Returns:
        ``low < high``. Where both percentiles fall on one value the minimum and maximum are taken, and for an image of
        a single value v the limits are (v, v + 1), so that it comes out black rather than undefined.
    """
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ValueError(f"percentiles must satisfy 0 <= low < high <= 100, got {percentiles}")
    low, high = (float(value) for value in np.percentile(counts, percentiles))
    if low == high:
        low, high = float(counts.min()), float(counts.max())
    if low == high:
        high = low + 1.0
    return low, high


def linear_gain(counts: NDArray, limits: Limits) -> NDArray[np.float32]:
    """(counts - low) / (high - low), clipped to [0, 1], as float32 of the same shape.

    Raises:
        InputError: the limits are not finite, or low is not below high.
    """
    low, high = limits
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"infrared limits {low:g}..{high:g} cannot be used; give low below high, in the file's units")
    image = counts.astype(np.float32)
    image -= np.float32(low)
    image /= np.float32(high - low)
    return np.clip(image, 0.0, 1.0, out=image)


def to_display(counts: NDArray, name: str, limits: Limits | None = None) -> tuple[NDArray[np.float32], Limits]:
    """Counts to [0, 1] and the limits that were used; says so in the log ("ldfusion.io") once per file.

    Args:
        counts: thermal image in the file's own units, any shape.
        name: what the log line calls the image, usually its path.
        limits: fixed (low, high) in the same units; None takes ``percentile_limits`` of this image.
    """
    used = percentile_limits(counts) if limits is None else limits
    image = linear_gain(counts, used)
    how = f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g}" if limits is None else "given limits"
    kind = "float" if counts.dtype.kind == "f" else f"{8 * counts.dtype.itemsize}-bit"
    notice(f"{kind} infrared {name}: {used[0]:g}..{used[1]:g} mapped to 0..1 ({how})")
    return image, used

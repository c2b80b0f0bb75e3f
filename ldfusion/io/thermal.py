"""Thermal counts to display range: what happens to 16-bit and float infrared images before a network sees them.

An uncooled camera delivers 14- or 16-bit counts (or temperatures) of which one scene fills a few hundred, so that
dividing by 65535 gives a black image. A linear gain between two percentiles of the image is used instead, as the
cameras' own "linear AGC" does. It depends on the image: give fixed limits to keep a sequence steady.

Degrees: some programs write temperatures as integers. Which unit a file is in is told by its values where these leave
no doubt, and said by the user otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io.notices import notice
from ldfusion.io.planck import KELVIN

PERCENTILES = (0.5, 99.5)
"""Default share of pixels, in percent, below which an image is black and above which it is white."""

Limits = tuple[float, float]

UNITS = {"celsius": 1.0, "kelvin": 1.0, "kelvin-10": 0.1, "kelvin-25": 0.04, "kelvin-100": 0.01}
"""Units of temperature by name: degrees in one step of the file's values. ``counts`` are none, ``auto`` decides."""
UNIT_NAMES = ("auto", *UNITS, "counts")
_AUTOMATIC = {"kelvin-100": (-50.0, 200.0), "kelvin-10": (-40.0, 100.0)}
"""Integers that lie wholly in such a range of degrees, and around room temperature, are taken for this unit."""
_ROOM = (-25.0, 60.0)  # the median of a scene [degrees C]
_FLOAT_CELSIUS, _FLOAT_KELVIN = (-80.0, 200.0), (150.0, 800.0)


@dataclass(frozen=True)
class ThermalOptions:
    """How infrared files are read.

    Attributes:
        unit: a name of `UNIT_NAMES`, of files that hold plain numbers.
        limits: (low, high) that become black and white, in degrees C where the file's are known, else in its own
            units; None takes percentiles of the image.
        page: of a TIFF with several, counted from 1.
    """

    unit: str = "auto"
    limits: Limits | None = None
    page: int | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNIT_NAMES:
            raise InputError(f"thermal unit: unknown '{self.unit}'; known: {', '.join(UNIT_NAMES)}")


def unit_of(values: NDArray[Any]) -> str:
    """The unit of plain numbers of any shape: a name of `UNITS` if their range is beyond doubt, else ``counts``."""
    sample = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if values.dtype == np.uint8 or not sample.size:
        return "counts"
    low, middle, high = (float(v) for v in np.percentile(sample, (0.1, 50, 99.9)))
    if values.dtype.kind == "f":
        if (float(sample.min()) >= 0 and float(sample.max()) <= 1) or bool((sample == np.rint(sample)).all()):
            return "counts"
        for unit, (least, most) in (("celsius", _FLOAT_CELSIUS), ("kelvin", _FLOAT_KELVIN)):
            if least <= low and high <= most:
                return unit
        return "counts"
    for unit, (least, most) in _AUTOMATIC.items():
        low_c, middle_c, high_c = (v * UNITS[unit] - KELVIN for v in (low, middle, high))
        if least <= low_c and high_c <= most and _ROOM[0] <= middle_c <= _ROOM[1]:
            return unit
    return "counts"


def in_celsius(values: NDArray[Any], unit: str) -> NDArray[np.float32]:
    """Plain numbers of a unit of `UNITS` in degrees C, of the same shape."""
    offset = 0.0 if unit == "celsius" else KELVIN
    return (values.astype(np.float64) * UNITS[unit] - offset).astype(np.float32)


def fill_holes(values: NDArray[Any], name: str, holes: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Pixels of an image (H, W) without a value take that of the nearest pixel that has one; the log tells how many.

    Args:
        holes: which they are; None: those that are NaN.

    Raises:
        InputError: no pixel has a value.
    """
    kind = "transparent pixels" if holes is not None else "pixels without a value (NaN)"
    if holes is None:
        if values.dtype.kind != "f":
            return values
        holes = np.isnan(values)
    count = int(holes.sum())
    if not count:
        return values
    if count == holes.size:
        raise InputError(f"{name} holds no values, only {kind}; export it again")
    _, labels = cv2.distanceTransformWithLabels(holes.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(int(labels.max()) + 1, dtype=values.dtype)
    of_label[labels[~holes]] = values[~holes]
    notice(f"infrared {name}: {count} {kind} are filled from their neighbours")
    return np.where(holes, of_label[labels], values)


def percentile_limits(counts: NDArray, percentiles: tuple[float, float] = PERCENTILES) -> Limits:
    """The values (low, high) of an image that a percentile gain maps to 0 and 1.

    Args:
        counts: any shape, any real type, finite.
        percentiles: 0 <= first < second <= 100.

    Returns:
        ``low < high``. Where both percentiles fall on one value the minimum and maximum are taken, and for an image of
        a single value v the limits are (v, v + 1), so that it comes out black rather than undefined.

    Raises:
        ValueError: percentiles out of order or range.
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


def is_thermal(values: NDArray[Any]) -> bool:
    """Whether an array of any shape, given in a program, holds counts or degrees, not grey values in [0, 1]."""
    if values.dtype.kind == "f":
        return unit_of(values) != "counts"
    return values.dtype in (np.uint16, np.int16)


def thermal_display(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    """An array of counts or degrees (H, W) as it would be if it were read from a file: [0, 1], holes filled."""
    unit = unit_of(values)
    celsius = unit != "counts"
    filled = fill_holes(in_celsius(values, unit) if celsius else values, name)
    return to_display(filled, name, None, celsius)[0]


def to_display(
    counts: NDArray, name: str, limits: Limits | None = None, degrees: bool = False
) -> tuple[NDArray[np.float32], Limits]:
    """Counts to [0, 1] and the limits that were used; says so in the log ("ldfusion.io") once per file.

    Args:
        counts: thermal image in the file's own units, any shape.
        name: what the log line calls the image, usually its path.
        limits: fixed (low, high) in the same units; None takes ``percentile_limits`` of this image.
        degrees: they are degrees C, for the log.
    """
    used = percentile_limits(counts) if limits is None else limits
    image = linear_gain(counts, used)
    how = f"percentiles {PERCENTILES[0]:g} and {PERCENTILES[1]:g}" if limits is None else "given limits"
    kind = "float" if counts.dtype.kind == "f" else f"{8 * counts.dtype.itemsize}-bit"
    shown = f"{used[0]:.1f}..{used[1]:.1f} degrees C" if degrees else f"{used[0]:g}..{used[1]:g}"
    notice(f"{kind} infrared {name}: {shown} mapped to 0..1 ({how})")
    return image, used

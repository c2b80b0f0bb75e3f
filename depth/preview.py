"""Coloured depth maps, for looking only: the colours are normalised for each map, so they must not be measured."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

PERCENTILES = (1.0, 99.0)
_SAMPLES = 1_000_000  # of a larger map only every few pixels, this many, are sorted for the percentiles


def colorize_depth(depth: Tensor | NDArray, limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Colour an inverse depth map with OpenCV's "inferno": near is bright yellow, far is black.

    Args:
        depth: ``(H, W)`` or ``(1, H, W)``, any scale; values that are not finite count as far.
        limits: (far, near) values for both ends of the colours; None takes ``PERCENTILES`` of this map. Give fixed
            limits for a sequence, else its colours flicker.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: not one map.
    """
    values = depth.detach().float().cpu().numpy() if isinstance(depth, Tensor) else np.asarray(depth, np.float32)
    values = values[0] if values.ndim == 3 and values.shape[0] == 1 else values
    if values.ndim != 2:
        raise ValueError(f"need a depth map (H, W) or (1, H, W), got {tuple(values.shape)}")
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    step = max(1, math.isqrt(values.size // _SAMPLES))
    low, high = limits or np.percentile(values[::step, ::step], PERCENTILES)
    unit = values - np.float32(low)
    unit *= np.float32(255 / max(float(high - low), 1e-12))
    np.rint(np.clip(unit, 0, 255, out=unit), out=unit)
    colored = cv2.applyColorMap(unit.astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colored[..., ::-1], dtype=np.uint8)

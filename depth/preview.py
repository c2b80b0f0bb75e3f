"""Coloured depth maps, for looking only: the colours are normalised for each map, so they must not be measured."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

PERCENTILES = (1.0, 99.0)


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
    low, high = limits or np.percentile(values, PERCENTILES)
    unit = np.clip((values - low) / max(float(high - low), 1e-12), 0, 1)
    colored = cv2.applyColorMap(np.rint(unit * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(colored[..., ::-1], dtype=np.uint8)

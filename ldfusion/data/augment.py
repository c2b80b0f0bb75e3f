"""Paired augmentation: one set of random parameters moves both images and all their labels alike.

The geometry is kept in fractions of the frame so that it applies to files of any resolution (images, masks and depth
labels of one pair differ in size). Photometric changes are drawn separately for each modality: the two sensors do not
share exposure or gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ldfusion.config import DataConfig

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Augmentation:
    """Window (fractions of the frame), output size, mirror flag and photometric parameters of one sample."""

    top: float
    left: float
    height: float
    width: float
    size: tuple[int, int]
    flip: bool = False
    visible: tuple[float, float, float, float] = (1.0, 0.0, 1.0, 1.0)
    """gain, bias, gamma, saturation"""
    infrared: tuple[float, float, float] = (1.0, 0.0, 1.0)
    """gain, bias, gamma"""

    def geometry(self, array: Array, interpolation: int = cv2.INTER_AREA) -> Array:
        """Cut the window out of ``array`` (h, w[, c]) of any resolution and resize it to ``size``."""
        h, w = array.shape[:2]
        y0, x0 = round(self.top * h), round(self.left * w)
        y1 = min(h, max(y0 + 1, round((self.top + self.height) * h)))
        x1 = min(w, max(x0 + 1, round((self.left + self.width) * w)))
        window = array[y0:y1, x0:x1]
        if window.shape[:2] != self.size:
            shrinking = window.shape[0] > self.size[0]
            if interpolation == cv2.INTER_AREA and not shrinking:
                interpolation = cv2.INTER_LINEAR
            window = cv2.resize(window, self.size[::-1], interpolation=interpolation)
        return np.ascontiguousarray(window[:, ::-1] if self.flip else window)

    def photometric_visible(self, image: Array) -> Array:
        """Change (h, w, 3) float32 in [0, 1]."""
        gain, bias, gamma, saturation = self.visible
        if self.visible == (1.0, 0.0, 1.0, 1.0):
            return image
        grey = image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        image = grey[..., None] + saturation * (image - grey[..., None])
        return np.clip(gain * np.clip(image, 0, 1) ** gamma + bias, 0, 1).astype(np.float32)

    def photometric_infrared(self, image: Array) -> Array:
        """Change (h, w) float32 in [0, 1]."""
        gain, bias, gamma = self.infrared
        if self.infrared == (1.0, 0.0, 1.0):
            return image
        return np.clip(gain * np.clip(image, 0, 1) ** gamma + bias, 0, 1).astype(np.float32)


def draw(rng: np.random.Generator, frame: tuple[int, int], data: DataConfig) -> Augmentation:
    """Random parameters for a frame of ``(h, w)`` pixels."""
    size = (data.crop[0], data.crop[1])
    zoom = float(np.exp(rng.uniform(*np.log(np.asarray(data.scale, dtype=np.float64)))))
    if data.full_frame:
        height = width = min(1.0, 1.0 / max(zoom, 1.0))
    else:
        # the largest window of the sample's aspect that the frame holds bounds zooming out
        zoom = max(zoom, size[0] / frame[0], size[1] / frame[1])
        height, width = size[0] / zoom / frame[0], size[1] / zoom / frame[1]
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    flip = bool(rng.random() < data.flip)
    j = data.jitter
    u = rng.uniform(-1, 1, 7)
    if j == 0:
        return Augmentation(top, left, height, width, size, flip)
    visible = (1 + j * u[0], 0.3 * j * u[1], float(np.exp(j * u[2])), 1 + j * u[3])
    infrared = (1 + j * u[4], 0.3 * j * u[5], float(np.exp(j * u[6])))
    return Augmentation(top, left, height, width, size, flip, visible, infrared)


def whole(size: tuple[int, int]) -> Augmentation:
    """The unchanged frame resized to ``size`` (validation)."""
    return Augmentation(0.0, 0.0, 1.0, 1.0, size)

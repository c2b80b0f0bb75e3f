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
from ldfusion.io.color import BLUE, GREEN, RED

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
        """Cut the window out of ``array`` (h, w[, c]) of any resolution and resize it to ``size``.

        Where the window is enlarged, its edges may lie between pixels, so that a label of lower resolution stays in
        register with the image; where it is shrunk they are rounded, which costs less than half a pixel of the result.

        Args:
            interpolation: ``INTER_AREA`` (linear where enlarged), ``INTER_LINEAR`` or ``INTER_NEAREST``.
        """
        h, w = array.shape[:2]
        y, x, window_h, window_w = self.top * h, self.left * w, self.height * h, self.width * w
        y0, x0 = round(y), round(x)
        y1, x1 = min(h, max(y0 + 1, round(y + window_h))), min(w, max(x0 + 1, round(x + window_w)))
        whole_pixels = max(abs(y - y0), abs(x - x0), abs(y + window_h - y1), abs(x + window_w - x1)) < 1e-6
        shrinking = y1 - y0 > self.size[0]
        if interpolation == cv2.INTER_AREA and not shrinking:
            interpolation = cv2.INTER_LINEAR
        if not (whole_pixels or shrinking):
            window = self._between_pixels(array, interpolation)
        elif (y1 - y0, x1 - x0) == self.size:
            window = array[y0:y1, x0:x1]
        else:
            if interpolation == cv2.INTER_NEAREST:
                interpolation = cv2.INTER_NEAREST_EXACT  # the plain one takes the corner of a pixel, not its centre
            window = cv2.resize(array[y0:y1, x0:x1], self.size[::-1], interpolation=interpolation)
        return np.ascontiguousarray(window[:, ::-1] if self.flip else window)

    def _between_pixels(self, array: Array, interpolation: int) -> Array:
        h, w = array.shape[:2]
        dy, dx = self.height * h / self.size[0], self.width * w / self.size[1]
        # pixel centres are at half-integers of the frame's own coordinates
        to_source = np.array([[dx, 0, self.left * w + dx / 2 - 0.5], [0, dy, self.top * h + dy / 2 - 0.5]])
        return cv2.warpAffine(
            array,
            to_source,
            self.size[::-1],
            flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def boxes(self, boxes: Array, frame: tuple[int, int], least: float = 0.3) -> Array:
        """Move boxes (n, 4 or more: x1, y1, x2, y2, ...) of a frame of ``(h, w)`` pixels along with the images.

        They are cut at the window; one with less than the share ``least`` of its area inside is dropped.
        """
        moved = boxes.astype(np.float32, copy=True)
        if not len(moved):
            return moved
        sizes = np.array([frame[1], frame[0]] * 2, np.float32)
        corner = np.array([self.left, self.top] * 2, np.float32)
        extent = np.array([self.width, self.height] * 2, np.float32)
        output = np.array([self.size[1], self.size[0]] * 2, np.float32)
        moved[:, :4] = (moved[:, :4] / sizes - corner) / extent * output
        area = np.prod(moved[:, 2:4] - moved[:, :2], axis=1)
        moved[:, :4] = np.clip(moved[:, :4], 0, output)
        inside = np.prod(moved[:, 2:4] - moved[:, :2], axis=1)
        moved = moved[inside >= least * area]
        if self.flip:
            moved[:, [0, 2]] = self.size[1] - moved[:, [2, 0]]
        return moved

    def photometric_visible(self, image: Array) -> Array:
        """Change (h, w, 3) float32 in [0, 1]."""
        gain, bias, gamma, saturation = self.visible
        if self.visible == (1.0, 0.0, 1.0, 1.0):
            return image
        grey = image @ np.array([RED, GREEN, BLUE], dtype=np.float32)
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
    height, width = min(height, 1.0), min(width, 1.0)  # rounding may leave a window a hair larger than the frame
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    top, height = _whole_pixels(top, height, frame[0])
    left, width = _whole_pixels(left, width, frame[1])
    flip = bool(rng.random() < data.flip)
    j = data.jitter
    u = rng.uniform(-1, 1, 7)
    if j == 0:
        return Augmentation(top, left, height, width, size, flip)
    visible = (1 + j * u[0], 0.3 * j * u[1], float(np.exp(j * u[2])), 1 + j * u[3])
    infrared = (1 + j * u[4], 0.3 * j * u[5], float(np.exp(j * u[6])))
    return Augmentation(top, left, height, width, size, flip, visible, infrared)


def _whole_pixels(start: float, length: float, pixels: int) -> tuple[float, float]:
    """The same span with both ends on pixel borders, at least one pixel long."""
    first = round(start * pixels)
    last = min(pixels, max(first + 1, round((start + length) * pixels)))
    return first / pixels, (last - first) / pixels


def whole(size: tuple[int, int]) -> Augmentation:
    """The unchanged frame resized to ``size`` (validation)."""
    return Augmentation(0.0, 0.0, 1.0, 1.0, size)

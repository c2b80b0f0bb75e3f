"""Which sensor's pixels a mask was drawn on, decided for each of its parts, and masks brought onto the visible image.

Annotators draw what they see: by day on the visible image, at night people on the infrared one. In pairs that are not
quite registered such a mask fits neither image as a whole. Once the displacement is known, each connected part of a
class has two places: where it is, or moved along with the infrared image. Borders of objects lie on edges, so it gets
the place where the gradients of both images under its border are larger.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.data.label_sets import IGNORED
from ldfusion.io.color import luma
from ldfusion.registration.contours import gaussian_blur, sobel_gradient
from ldfusion.registration.warp import flow_points

_MARGIN = 1.05
"""What was drawn on the visible image is the rule: the other place must fit better by this factor."""
_NEIGHBOURHOOD = 20.0
"""Sigma in pixels of the surroundings that a gradient is measured against."""
_FLOOR = 0.02

Labels = NDArray[np.uint8]


def place_on_visible(labels: Labels, visible: Tensor, infrared: Tensor, flow: Tensor) -> tuple[Labels, int]:
    """The mask on the pixels of the visible image.

    Args:
        labels: class ids (H, W).
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1], on the visible image's pixels already.
        flow: (2, H, W) backward displacement that brought it there; parts drawn on the infrared image move by it.

    Returns:
        Class ids (H, W), and how many parts were moved.
    """
    parts = _parts(labels)
    points = flow_points(flow).numpy()
    moved = cv2.remap(parts, points[..., 0], points[..., 1], cv2.INTER_NEAREST, borderValue=0)
    strength = _relative_gradient(luma(visible)) + _relative_gradient(infrared)
    ids = np.array([labels[parts == k][0] for k in range(1, int(parts.max()) + 1)], np.uint8)
    result = np.where(labels == IGNORED, labels, 0).astype(np.uint8)
    count = 0
    # the larger ones first, so that a part which moves does not cover a smaller one
    for k in sorted(range(1, len(ids) + 1), key=lambda k: -int((parts == k).sum())):
        stays, moves = parts == k, moved == k
        away = bool(moves.any()) and _fit(strength, moves) > _MARGIN * _fit(strength, stays)
        result[moves if away else stays] = ids[k - 1]
        count += away
    return result, count


def _parts(labels: Labels) -> NDArray[np.int16]:
    """Numbers of the connected parts of every class but background, from 1 (H, W)."""
    parts, found = np.zeros(labels.shape, np.int16), 0
    for label in np.unique(labels):
        if label in (0, IGNORED):
            continue
        count, numbers = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=8)
        parts = np.where(numbers > 0, numbers + found, parts).astype(np.int16)
        found += count - 1
    return parts


def _relative_gradient(image: Tensor) -> NDArray[Any]:
    """Gradient (H, W) of (1, 1, H, W) against its surroundings'."""
    strength = sobel_gradient(gaussian_blur(image, sigma=1.0))[0].square().sum(0).sqrt().numpy()
    return strength / (cv2.GaussianBlur(strength, (0, 0), _NEIGHBOURHOOD) + _FLOOR)


def _fit(strength: NDArray[Any], part: NDArray[np.bool_]) -> float:
    """Mean of the map along the border of a part, inside of the image; 0 without any."""
    member, square = part.astype(np.uint8), np.ones((3, 3), np.uint8)
    border = cv2.dilate(member, square) != cv2.erode(member, square, borderValue=1)
    return float(strength[border].mean()) if border.any() else 0.0

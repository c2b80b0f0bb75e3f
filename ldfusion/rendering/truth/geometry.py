"""Exact truth of a rendered pair: the relation of the two cameras, occlusion, labels and boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.sensor.camera import Camera, Rig
from ldfusion.rendering.sensor.raster import GeometryBuffer
from ldfusion.rendering.world.surface import Thing

MIN_PIXELS = 6
"""Objects with fewer visible pixels are neither labelled nor boxed."""


class Box(NamedTuple):
    """Bounding box of an object's visible pixels, in pixel edges: columns x1 .. x2 - 1 and rows y1 .. y2 - 1 belong to
    it.
    """

    name: str
    x1: int
    y1: int
    x2: int
    y2: int


def homography(rig: Rig) -> NDArray[np.float64] | None:
    """(3, 3) map of infrared pixels to visible pixels, x_visible ~ H @ x_infrared; None when the cameras do not share
    their centre.

    H = K_v R_v R_i^T K_i^-1 (Hartley and Zisserman, Multiple View Geometry, 2nd ed., section 8.4).
    """
    visible, infrared = rig.visible, rig.infrared
    if np.linalg.norm(visible.center - infrared.center) > 1e-9:
        return None
    matrix = visible.K @ visible.R @ infrared.R.T @ np.linalg.inv(infrared.K)
    return matrix / matrix[2, 2]


def flow(
    visible: Camera, infrared: Camera, depth_visible: NDArray[np.float32], depth_infrared: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where each visible pixel is found in the infrared image.

    Args:
        depth_visible, depth_infrared: (H, W) and (h, w) metres along Z, inf for the sky, whose flow is that of
            infinity.

    Returns:
        (H, W, 2) displacement in pixels, (x, y) of the infrared image minus (x, y) of the visible one; and (H, W) bool:
        the point lies inside of the infrared image and is not hidden there, i.e. a neighbouring infrared pixel has its
        depth within 3 % + 5 cm.
    """
    height, width = depth_visible.shape
    x, y = np.arange(width, dtype=float)[None, :], np.arange(height, dtype=float)[:, None]
    turn = infrared.R @ visible.R.T
    rays = infrared.K @ turn @ np.linalg.inv(visible.K)
    shift = infrared.K @ (infrared.t - turn @ visible.t)
    sky = np.isinf(depth_visible)
    far = np.where(sky, 1.0, depth_visible)
    # Homogeneous infrared pixel of each point; one at infinity only turns.
    hx, hy, z = (
        far * (row[0] * x + (row[1] * y + row[2])) + np.where(sky, 0.0, step)
        for row, step in zip(rays, shift, strict=True)
    )
    safe = np.where(z > 1e-6, z, 1.0)
    px, py = hx / safe, hy / safe
    inside = (z > 1e-6) & (px >= 0) & (py >= 0) & (px <= infrared.width - 1) & (py <= infrared.height - 1)
    column, row = np.where(inside, px, 0).astype(int), np.where(inside, py, 0).astype(int)
    # Compared as inverse depth, which is 0 for the sky.
    own, inverse = np.where(sky, 0.0, 1 / safe), 1 / depth_infrared
    tolerance = np.where(sky, 0.0, own - 1 / (1.03 * safe + 0.05))
    same = np.zeros_like(inside)
    for dy in (0, 1):
        for dx in (0, 1):
            rows, columns = np.minimum(row + dy, infrared.height - 1), np.minimum(column + dx, infrared.width - 1)
            same |= np.abs(inverse[rows, columns] - own) <= tolerance
    return np.stack([px - x, py - y], -1).astype(np.float32), inside & same


def labels_and_boxes(
    buffer: GeometryBuffer, things: list[Thing]
) -> tuple[NDArray[np.uint8], list[Box], dict[int, int]]:
    """(H, W) labels without the objects too small to tell, the boxes of the labelled objects (nearest first), and the
    pixels of every thing.
    """
    label = buffer.label.copy()
    counts = np.bincount((buffer.instance + 1).ravel(), minlength=len(things) + 1)[1:]
    boxes: list[tuple[float, Box]] = []
    for index in np.nonzero(counts)[0]:
        thing = things[int(index)]
        if thing.label == 0 or not thing.reported:
            continue
        mine = buffer.instance == index
        if counts[index] < MIN_PIXELS:
            label[mine] = 0
            continue
        rows, columns = np.nonzero(mine.any(1))[0], np.nonzero(mine.any(0))[0]
        box = Box(thing.name, int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        boxes.append((float(np.median(buffer.depth[mine])), box))
    return (
        label,
        [box for _, box in sorted(boxes, key=lambda item: item[0])],
        {int(i): int(counts[i]) for i in np.nonzero(counts)[0]},
    )

"""What the detector should answer for given boxes (TTFNet, Liu et al. 2020: Gaussian samples for sizes too)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ldfusion.detection.network import CELL

SPREAD = 0.54
"""Share of a box that its Gaussian covers (alpha of the paper): three standard deviations on each side."""


class Targets(NamedTuple):
    """Targets of a batch on the grid of ``CELL`` pixels, h x w positions."""

    heat: Tensor
    """(B, classes, h, w) in [0, 1], 1 at the centres"""
    counted: Tensor
    """(B, classes, h, w) bool, False where no answer is wrong: inside objects that the shown sensor misses"""
    sides: Tensor
    """(B, 4, h, w) pixels: left, top, right, bottom of the nearest centre's box"""
    weight: Tensor
    """(B, h, w), how much the sides of a position count; each object's sum is log(area)"""


def centres_of_cells(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x ``(1, w)`` and y ``(h, 1)`` of the positions of an h x w grid, in pixels of the image."""
    x = (torch.arange(width, dtype=torch.float32, device=like.device) + 0.5) * CELL
    y = (torch.arange(height, dtype=torch.float32, device=like.device) + 0.5) * CELL
    return x[None], y[:, None]


def make_targets(boxes: Sequence[Tensor], shown: Sequence[int], classes: int, size: tuple[int, int]) -> Targets:
    """Targets for the boxes of every image.

    Args:
        boxes: (n, 6) a sample: x1, y1, x2, y2, class id, seen (see `ldfusion.data.boxes`).
        shown: bits of the sensors that each sample shows (1 visible, 2 infrared, 3 both).
        classes: number of classes.
        size: (height, width) of the images, pixels.
    """
    height, width = size[0] // CELL, size[1] // CELL
    heat = torch.zeros(len(boxes), classes, height, width)
    counted = torch.ones(len(boxes), classes, height, width, dtype=torch.bool)
    sides = torch.ones(len(boxes), 4, height, width)
    weight = torch.zeros(len(boxes), height, width)
    for sample, (objects, sensor) in enumerate(zip(boxes, shown, strict=True)):
        x, y = centres_of_cells(height, width, objects)
        # large boxes first: where two overlap the smaller one has the say, as it has fewer positions to be learned at
        for x1, y1, x2, y2, label, seen in sorted(objects.tolist(), key=lambda b: (b[0] - b[2]) * (b[1] - b[3]))[::-1]:
            kind = int(label)
            if not int(seen) & sensor:
                counted[sample, kind] &= ~((x > x1) & (x < x2) & (y > y1) & (y < y2))
                continue
            # the centre snaps to its position, so that the peak is exactly 1
            column = min(int((x1 + x2) / 2 / CELL), width - 1)
            row = min(int((y1 + y2) / 2 / CELL), height - 1)
            spread_x, spread_y = (max(SPREAD * side / 6, CELL / 3) for side in (x2 - x1, y2 - y1))
            dx, dy = x - x[0, column], y - y[row, 0]
            bump = torch.exp(-(dx.square() / (2 * spread_x**2) + dy.square() / (2 * spread_y**2)))
            heat[sample, kind] = torch.maximum(heat[sample, kind], bump)
            inside = (bump > 0.1) & (x > x1) & (x < x2) & (y > y1) & (y < y2)
            inside[row, column] = True
            distances = torch.stack(torch.broadcast_tensors(x - x1, y - y1, x2 - x, y2 - y))
            sides[sample] = torch.where(inside, distances.clamp_min(0.5), sides[sample])
            share = bump * inside
            area = torch.log(torch.tensor(max((x2 - x1) * (y2 - y1), 4.0)))
            weight[sample] = torch.where(inside, area * share / share.sum(), weight[sample])
    return Targets(heat, counted | (heat == 1), sides, weight)

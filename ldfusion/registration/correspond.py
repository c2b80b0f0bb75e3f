"""From descriptors to correspondences: over the whole image to begin with, within a window around an estimate later.

All positions are pixels (x, y) of the images that were described, centres at integers; a descriptor cell k stands for
pixel 4k + 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ldfusion.registration.descriptors import STRIDE

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Described:
    """One described image.

    Attributes:
        descriptors: (dim, h, w), unit length.
        kappa: (h, w) concentrations.
        valid: (h, w) bool, cells that show the image and not what fills its border.
    """

    descriptors: Tensor
    kappa: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Matches:
    """N correspondences.

    Attributes:
        fixed: (N, 2) pixels of the visible image.
        moving: (N, 2) pixels of the infrared image.
        weight: (N,) in [0, 1], how much the match counts.
    """

    fixed: Points
    moving: Points
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weight)


def cell_centres(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height * width, 2) pixels (x, y) of the descriptor cells, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1).float() * STRIDE + (STRIDE - 1) / 2


def mutual_matches(visible: Described, infrared: Described, count: int = 1000) -> Matches:
    """Matches over the whole images: nearest neighbours of each other (within a cell), among the surest positions.

    The weight is their cosine.

    Args:
        count: how many visible positions, those of the largest kappa on every second row and column, look for theirs.
    """
    width = visible.kappa.shape[1]
    every_second = torch.zeros_like(visible.valid)
    every_second[::2, ::2] = True
    candidates = (visible.valid & every_second).flatten().nonzero()[:, 0]
    kappa = visible.kappa.flatten()
    chosen = candidates[kappa[candidates].argsort(descending=True)[:count]]
    flat_v, flat_i = visible.descriptors.flatten(1), infrared.descriptors.flatten(1)
    best, partner = _masked(flat_v[:, chosen].T @ flat_i, infrared.valid).max(1)
    back = _masked(flat_i[:, partner].T @ flat_v, visible.valid).argmax(1)
    apart = torch.maximum((back % width - chosen % width).abs(), (back // width - chosen // width).abs())
    keep = apart <= 1
    centres_v = cell_centres(visible.kappa.shape[0], visible.kappa.shape[1], kappa.device)
    centres_i = cell_centres(infrared.kappa.shape[0], infrared.kappa.shape[1], kappa.device)
    return Matches(
        centres_v[chosen[keep]].double().cpu().numpy(),
        centres_i[partner[keep]].double().cpu().numpy(),
        best[keep].clamp(0, 1).double().cpu().numpy(),
    )


def _masked(similarity: Tensor, valid: Tensor) -> Tensor:
    """Rows of similarities to all cells of an image, -1 for those that are not valid."""
    return similarity if bool(valid.all()) else similarity.masked_fill_(~valid.flatten(), -1.0)


def local_similarity(visible: Described, infrared: Described, radius: int, step: int = 1) -> Tensor:
    """Cosine of visible cells with the infrared cells around them; both on one grid (h, w).

    Args:
        radius: of the window, cells.
        step: every how many rows and columns a visible cell is asked.

    Returns:
        ((2 radius + 1)^2, h / step, w / step), shifts row by row from the upper left; -1 where the infrared cell is not
        valid.
    """
    h, w = visible.kappa.shape
    fixed = visible.descriptors[:, ::step, ::step].movedim(0, -1).contiguous()
    moving = F.pad(infrared.descriptors, (radius,) * 4).movedim(0, -1).contiguous()
    seen = F.pad(infrared.valid, (radius,) * 4)
    side = 2 * radius + 1
    result = fixed.new_empty(side * side, *fixed.shape[:2])
    for k in range(side * side):
        dy, dx = divmod(k, side)
        here = (slice(dy, dy + h, step), slice(dx, dx + w, step))
        result[k] = (fixed * moving[here]).sum(-1).masked_fill_(~seen[here], -1.0)
    return result


def local_matches(visible: Described, infrared: Described, radius: int, step: int = 1) -> Matches:
    """One match for each valid visible cell, among the infrared cells within ``radius`` cells; fractions of a cell.

    The position is the mean of the softmax over the 3x3 cells around its peak, the weight the softmax' mass on them.

    Args:
        step: every how many rows and columns a visible cell is asked.
    """
    side = 2 * radius + 1
    similarity = local_similarity(visible, infrared, radius, step)
    probability = (visible.kappa[::step, ::step] * similarity).softmax(0)
    peak = similarity.argmax(0)
    y, x = peak // side, peak % side
    flat = probability.flatten(1)
    mass, sum_x, sum_y = (torch.zeros_like(flat[0]) for _ in range(3))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            row, column = (y + dy).flatten(), (x + dx).flatten()
            inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
            index = (row.clamp(0, side - 1) * side + column.clamp(0, side - 1))[None]
            p = flat.gather(0, index)[0] * inside
            mass, sum_x, sum_y = mass + p, sum_x + p * column, sum_y + p * row
    offset = torch.stack([sum_x, sum_y], 1) / mass.clamp_min(1e-9)[:, None] - radius
    height, width = visible.kappa.shape
    centres = cell_centres(height, width, flat.device).view(height, width, 2)[::step, ::step].flatten(0, 1)
    # a peak on the rim of the window belongs to something outside it
    border = ((x == 0) | (y == 0) | (x == side - 1) | (y == side - 1)).flatten()
    seen = (visible.valid & infrared.valid)[::step, ::step].flatten()
    keep = seen & ~border & (mass > 1e-3)
    return Matches(
        centres[keep].double().cpu().numpy(),
        (centres + offset * STRIDE)[keep].double().cpu().numpy(),
        mass[keep].double().cpu().numpy(),
    )

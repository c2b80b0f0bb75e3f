"""What a fixed pair of cameras gets wrong in every pair alike: one smooth displacement for a whole data set.

A published set is registered once, by a transform for its rig. What lens distortion leaves behind is the same in every
pair, a few pixels, and different in each part of the frame; single pairs are too poor in shared edges to tell it. So
the evidence is pooled: both images become maps of edge directions (`ldfusion.registration.directions`), the correlation
of each block of the visible map with the infrared map around it is kept as a surface over displacements, and surfaces
of one block are added up over the pairs before their peak is taken. The peaks, a grid of displacements, are fitted by a
polynomial in the position. How far one pair differs from that (parallax of its depth) is asked of the surfaces of all
its blocks together, as a shift, and believed only where two halves of its blocks say the same.

Nothing here is learned: a network that was trained on the set would have learned its error as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.registration.directions import DIRECTIONS, edge_directions
from ldfusion.registration.inputs import grey
from ldfusion.registration.warp import Size, flow_points, inside, sample

Array = NDArray[np.float64]

_ROWS, _COLUMNS = 7, 8
"""Blocks that would fill the frame side by side; they overlap by half, so that there are 13 x 15 of them."""
_FLOOR = 0.02
"""Energy a pixel of a block without edges is taken to have: its surface counts for little."""
_DEGREES = (0, 1, 2, 3, 4, 5)
_BELIEVED = 1.0
"""Pixels by which both halves of a pair's blocks may differ in x and in y."""
_TELLING = 0.25
"""Share of the blocks that must tell something before a field is fitted."""


@dataclass(frozen=True)
class Rig:
    """A displacement over the visible frame, the same for all pairs of a rig.

    Attributes:
        size: (height, width) of the frame.
        coefficients: (n, 2) of the polynomial, x and y; n says its degree, see `_terms`.
    """

    size: Size
    coefficients: Array

    def at(self, points: Array) -> Array:
        """Displacement (N, 2) at visible pixels (N, 2): pixel x shows infrared pixel x + displacement."""
        degree = next(d for d in _DEGREES if _count(d) == len(self.coefficients))
        return np.asarray(_terms(points, self.size, degree) @ self.coefficients)

    def flow(self, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """(2, H, W) float32 backward displacement, with the shift of one pair added."""
        height, width = self.size
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        found = self.at(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)) + np.asarray(shift)
        return torch.from_numpy(found.T.reshape(2, height, width)).float()


@dataclass(frozen=True)
class Shift:
    """How one pair differs from its rig.

    Attributes:
        value: (x, y) pixels to add to the rig's displacement; 0, 0 where the pair could not tell.
        halves: what either half of the pair's blocks said.
        believed: whether they agree.
    """

    value: tuple[float, float]
    halves: tuple[tuple[float, float], tuple[float, float]]
    believed: bool


def block_surfaces(visible: Tensor, infrared: Tensor, reach: int, flow: Tensor | None = None) -> NDArray[np.float32]:
    """Normalised correlation of blocks of edge directions over displacements.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1].
        reach: largest displacement, pixels.
        flow: (2, H, W) backward displacement that the infrared image is moved by first.

    Returns:
        (blocks, 2 reach + 1, 2 reach + 1): entry [b, reach + dy, reach + dx] says how well visible pixels x of block b
        agree with infrared pixels x + (dx, dy); 0 where there are no edges.
    """
    seen = torch.ones_like(infrared)
    if flow is not None:
        points = flow_points(flow)
        seen = inside(points, _size(infrared))[None, None].float()
        infrared = sample(infrared, points, "bicubic").clamp(0, 1)
    fixed, moving = _double_angle(grey(visible), torch.ones_like(seen)), _double_angle(infrared, seen)
    padded = np.pad(moving, ((reach, reach), (reach, reach), (0, 0)))
    height, width = block_size(_size(visible))
    surfaces = []
    for top, left in _corners(_size(visible)):
        block = np.ascontiguousarray(fixed[top : top + height, left : left + width])
        around = np.ascontiguousarray(padded[top : top + height + 2 * reach, left : left + width + 2 * reach])
        energy = math.sqrt(float(np.square(block).sum()) * float(np.square(around).sum())) + _FLOOR * block[..., 0].size
        surfaces.append(cv2.matchTemplate(around, block, cv2.TM_CCORR) / energy)
    return np.asarray(surfaces, dtype=np.float32)


def block_size(size: Size) -> Size:
    """(height, width) of a block of a frame."""
    return size[0] // _ROWS, size[1] // _COLUMNS


def block_centres(size: Size) -> Array:
    """(blocks, 2) visible pixels (x, y)."""
    height, width = block_size(size)
    return np.array([(left + (width - 1) / 2, top + (height - 1) / 2) for top, left in _corners(size)])


def peak(surface: NDArray[Any]) -> tuple[float, float]:
    """Displacement (x, y) of the largest entry of (2r + 1, 2r + 1), to fractions of a pixel by parabolas."""
    reach = surface.shape[0] // 2
    y, x = (int(k) for k in np.unravel_index(surface.argmax(), surface.shape))

    def vertex(before: float, here: float, after: float) -> float:
        bend = before - 2 * here + after
        return 0.0 if bend >= 0 else float(np.clip((before - after) / (2 * bend), -0.5, 0.5))

    dx = vertex(*surface[y, x - 1 : x + 2]) if 0 < x < 2 * reach else 0.0
    dy = vertex(*surface[y - 1 : y + 2, x]) if 0 < y < 2 * reach else 0.0
    return x - reach + dx, y - reach + dy


def fit_rig(halves: Iterable[NDArray[Any]], size: Size, before: Rig | None = None) -> Rig:
    """The polynomial through the peaks of pooled surfaces.

    Its degree is the one with which one half of the pairs foretells the peaks of the other half best. A block whose
    halves disagree, or whose peak lies on the rim of what was looked at, is left out; where hardly any block is left,
    nothing is changed.

    Args:
        halves: two arrays as of `block_surfaces`, each summed over half of the pairs.
        size: (height, width) of the frame.
        before: what the infrared images had been moved by; the result replaces it.
    """
    first, second = halves
    centres = block_centres(size)
    moved = before.at(centres) if before is not None else np.zeros_like(centres)
    one, two, both = (np.array([peak(s) for s in surfaces]) + moved for surfaces in (first, second, first + second))
    inner = np.abs(both - moved).max(1) < first.shape[-1] // 2
    agree = inner & (np.abs(one - two).max(1) <= _BELIEVED)
    if agree.mean() < _TELLING:
        return before or Rig(size, np.zeros((1, 2)))
    errors = []
    for degree in (d for d in _DEGREES if 2 * _count(d) <= agree.sum()):
        terms = _terms(centres[agree], size, degree)
        crossed = [
            target[agree] - terms @ np.linalg.lstsq(terms, source[agree], rcond=None)[0]
            for source, target in ((one, two), (two, one))
        ]
        errors.append((float(np.square(crossed).mean()), degree))
    degree = min(errors)[1]
    return Rig(size, np.linalg.lstsq(_terms(centres[agree], size, degree), both[agree], rcond=None)[0])


def pair_shift(surfaces: NDArray[Any], size: Size) -> Shift:
    """How one pair, moved by its rig already, still differs: the peak of all its blocks' surfaces together.

    Args:
        surfaces: as of `block_surfaces`.
        size: (height, width) of the frame.
    """
    # columns of the grid in turn, so that both halves see the near and the far part of the scene
    columns = np.array([round(x) for x in block_centres(size)[:, 0]])
    turn = np.searchsorted(np.unique(columns), columns) // 2 % 2
    halves = peak(surfaces[turn == 0].sum(0)), peak(surfaces[turn == 1].sum(0))
    whole = peak(surfaces.sum(0))
    apart = max(abs(halves[0][0] - halves[1][0]), abs(halves[0][1] - halves[1][1]))
    inner = max(abs(whole[0]), abs(whole[1])) < surfaces.shape[-1] // 2 - 1
    believed = apart <= _BELIEVED and inner and float(surfaces.sum(0).max()) > 0
    return Shift(whole if believed else (0.0, 0.0), halves, believed)


def _double_angle(image: Tensor, seen: Tensor) -> NDArray[np.float32]:
    """(H, W, 2) cosine and sine of twice the angle of the edges of (1, 1, H, W), times their local strength."""
    maps, _ = edge_directions(image, seen)
    angle = 2 * math.pi / DIRECTIONS * torch.arange(DIRECTIONS, device=maps.device)
    both = torch.einsum("kc,chw->hwk", torch.stack([angle.cos(), angle.sin()]), maps[0])
    return both.float().cpu().numpy()


def _corners(size: Size) -> list[tuple[int, int]]:
    """(top, left) of the blocks, row by row."""
    height, width = block_size(size)
    rows = np.linspace(0, size[0] - height, 2 * _ROWS - 1).round().astype(int)
    columns = np.linspace(0, size[1] - width, 2 * _COLUMNS - 1).round().astype(int)
    return [(int(top), int(left)) for top in rows for left in columns]


def _count(degree: int) -> int:
    return (degree + 1) * (degree + 2) // 2


def _terms(points: Array, size: Size, degree: int) -> Array:
    """(N, n) powers of the position, -1..1 over the longer side, up to a total degree."""
    half = max(size) / 2
    x, y = (points[:, 0] - (size[1] - 1) / 2) / half, (points[:, 1] - (size[0] - 1) / 2) / half
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


def _size(image: Tensor) -> Size:
    return int(image.shape[-2]), int(image.shape[-1])

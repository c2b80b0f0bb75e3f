"""Several pairs of one rig, or frames of one clip, vote for the transform that they share.

Each is registered alone, which may fail or be off; the largest group that agrees counts, and its median moves little
when one of them is off. The edges of all of them together then know it better than each alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.size import resize
from ldfusion.registration.methods import Registrar
from ldfusion.registration.polish import polish
from ldfusion.registration.warp import Matrix, Size, corners, invert, resize_matrix, transform_points
from ldfusion.types import Registration, TransformModel

Corners = NDArray[np.float64]
"""(4, 2): where the corners of the infrared frame lie in the visible one, pixels (x, y)."""
AGREE = 0.015
"""Mean distance of corners, as a share of the visible diagonal, within which two estimates are one."""
VOTES = 9
"""Pairs that vote."""
_KEPT = 480
"""Longer side at which the pairs that vote are kept, pixels: their edges are compared at less."""


def fixed_rig(pairs: Iterable[tuple[Tensor, Tensor]], registrar: Registrar) -> Registration:
    """The one transform of a rig from some of its pairs.

    Args:
        pairs: visible (1, 3, H, W) and infrared (1, 1, h, w) in [0, 1], each of one size; held one at a time.
        registrar: registers single pairs by a matrix.

    Returns:
        Its score is the median of those that agree, times the share of the registered pairs that do; it is trusted
        where two of them agree, or where there is one pair that is trusted alone.

    Raises:
        InputError: no pair, several sizes, or a registrar of flows.
    """
    found: list[Registration] = []
    small: list[tuple[Tensor, Tensor]] = []
    sizes: set[tuple[Size, Size]] = set()
    for visible, infrared in pairs:
        sizes.add((_size(visible), _size(infrared)))
        if len(sizes) > 1:
            raise InputError("--fixed-rig: one transform for images of one size; these have several")
        found.append(registrar(visible, infrared))
        if found[-1].flow is not None:
            raise InputError("--fixed-rig: give a registration method that finds a matrix")
        small.append((_kept(visible), _kept(infrared)))
    if not found:
        raise InputError("--fixed-rig: no pair that can be read")
    size, moving = sizes.pop()
    model: TransformModel = "affine" if found[0].model == "affine" else "homography"
    trusted = [each for each in found if each.trusted]
    places = [transform_points(each.matrix, corners(moving)) for each in trusted]
    limit = AGREE * math.hypot(*size)
    group = largest_group(places, limit)
    if not group or (len(group) == 1 and len(found) > 1):
        return max(found, key=lambda each: each.score) if not trusted else _doubted(trusted[0])
    score = float(np.median([trusted[k].score for k in group])) * len(group) / len(trusted)
    to_small = resize_matrix(size, _size(small[0][0])), resize_matrix(moving, _size(small[0][1]))
    median = np.median([places[k] for k in group], axis=0)
    start = to_small[0] @ matrix_of(median, moving) @ invert(to_small[1])
    visible, infrared = (torch.cat(side) for side in zip(*small, strict=True))
    polished = invert(to_small[0]) @ polish(visible, infrared, start).matrix @ to_small[1]
    best = nearer(median, transform_points(polished, corners(moving)), limit)
    return Registration(matrix_of(best, moving), model, score, True)


def largest_group(places: Sequence[Corners], limit: float) -> list[int]:
    """Indices of the most estimates of which one is near all the others.

    Args:
        limit: mean distance of corners, pixels.
    """
    groups = [[k for k, other in enumerate(places) if distance(one, other) < limit] for one in places]
    return max(groups, key=len, default=[])


def nearer(median: Corners, polished: Corners, limit: float) -> Corners:
    """What the edges of several frames say, as long as they mean the transform that the frames have voted for."""
    return polished if distance(polished, median) < limit else median


def distance(first: Corners, second: Corners) -> float:
    """Mean distance of corners, pixels."""
    return float(np.linalg.norm(first - second, axis=1).mean())


def matrix_of(places: Corners, source: Size) -> Matrix:
    """The (3, 3) matrix, infrared -> visible pixels, taking the corners of a (height, width) frame to ``places``."""
    rows, values = [], []
    for (x, y), (u, v) in zip(corners(source), places, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solution = np.linalg.solve(np.array(rows), np.array(values))
    return np.append(solution, 1.0).reshape(3, 3)


def _doubted(found: Registration) -> Registration:
    """One of several that no other one agrees with."""
    return Registration(found.matrix, found.model, min(found.score, 0.49), False)


def _kept(image: Tensor) -> Tensor:
    scale = min(1.0, _KEPT / max(image.shape[-2:]))
    return resize(image, (max(8, round(image.shape[-2] * scale)), max(8, round(image.shape[-1] * scale))))


def _size(image: Tensor) -> Size:
    return int(image.shape[-2]), int(image.shape[-1])

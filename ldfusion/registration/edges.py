"""Registration by the directions of edges, without any weights: a search over similarity transforms, then a polish

Where visible and infrared show the same thing, their edges run alike, whatever the levels on both sides. A gradient of
magnitude m and angle a is written as m exp(2ia), which does not know its sign; the agreement of two such fields is the
mean cosine of twice the angle between them, weighted by their magnitudes (normalised gradient fields, Haber and
Modersitzki 2006). As a correlation of complex images it comes for all shifts at once from Fourier transforms. Frames of
one clip share their transform, so their agreements add up: what one frame leaves open, another one decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.color import luma
from ldfusion.io.size import resize
from ldfusion.registration.warp import Matrix, Size, apart, invert, resize_matrix

_SEARCH_SIDE = 160  # longer side of the visible image in the search, pixels
_SCALES = tuple(float(s) for s in np.geomspace(0.6, 1.7, 19))
_ANGLES = (-6.0, -3.0, 0.0, 3.0, 6.0)
OVERLAP = 1.0  # how much it counts that only a part of the visible edges is covered
_SIDE = 240  # longer side at which edges are compared


@dataclass(frozen=True)
class Candidate:
    """A transform, infrared -> visible pixels, and its agreement in 0..1."""

    matrix: Matrix
    agreement: float


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of (B, 1, H, W) in x and y, (B, 1, H - 2, W - 2)."""
    return (
        (image[..., 1:-1, 2:] - image[..., 1:-1, :-2]) / 2,
        (image[..., 2:, 1:-1] - image[..., :-2, 1:-1]) / 2,
    )


def _double_angle(image: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, 1, H, W) -> complex (B, H, W): sqrt(m) exp(2ia), 0 at the border and around what is masked."""
    x, y = gradient(image)
    both = torch.complex(x, y)
    result = both**2 / both.abs().clamp_min(1e-9) ** 1.5
    if mask is not None:
        result = result * -F.max_pool2d(-mask, 3, 1)
    return F.pad(result[:, 0], (1, 1, 1, 1))


def covered(cosines: Tensor, weight: Tensor, whole: Tensor) -> Tensor:
    """Agreement of a part of the edges, the less the smaller the part is: ``cosines`` / ``weight`` for all of them.

    Args:
        cosines: sum of weighted cosines.
        weight: sum of the weights.
        whole: what that sum would be if everything were covered.
    """
    return cosines * (1 + OVERLAP) / (weight + OVERLAP * whole).clamp_min(1e-9)


def edge_agreement(visible: Tensor, infrared: Tensor, mask: Tensor | None = None) -> float:
    """How far the edges of both images run alike where both have some, from 0 (as by chance) to 1.

    Normalised gradient fields (Haber and Modersitzki 2006): the squared cosine between the gradients, weighted by their
    magnitudes, and 0.5, its value by chance, taken for 0. The sign of an edge does not matter.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1], on the same grid.
        mask: (1, 1, H, W) bool, pixels that count.
    """
    scale = min(1.0, _SIDE / max(visible.shape[-2:]))
    size = (max(round(visible.shape[-2] * scale), 8), max(round(visible.shape[-1] * scale), 8))
    (vx, vy), (ix, iy) = (gradient(resize(image, size)) for image in (luma(visible), infrared))
    weight = ((vx**2 + vy**2) * (ix**2 + iy**2)).sqrt()
    if mask is not None:
        kept = (resize(mask.float(), size) > 0.99).float()
        weight = weight * -F.max_pool2d(-kept, 3, 1)
    total = weight.sum()
    if total < 1e-12:
        return 0.0
    cosine = (vx * ix + vy * iy) ** 2 / ((vx**2 + vy**2) * (ix**2 + iy**2)).clamp_min(1e-18)
    return max(2 * float((weight * cosine).sum() / total) - 1, 0.0)


def search(visible: Tensor, infrared: Tensor, count: int = 4) -> list[Candidate]:
    """The best similarity transforms over all shifts, scales of 0.6 to 1.7 and rotations up to 6 degrees.

    Args:
        visible: frames (B, 3, H, W) in [0, 1].
        infrared: frames (B, 1, h, w) in [0, 1], the whole batch under one transform.
        count: how many, far apart from each other.
    """
    fixed, moving = size_of(visible), size_of(infrared)
    small = shrunk(fixed, _SEARCH_SIDE)
    spectrum_size = (2 * small[0], 2 * small[1])
    target = _double_angle(resize(luma(visible), small))
    spectrum = torch.fft.fft2(target, spectrum_size)
    weights = torch.fft.rfft2(target.abs(), spectrum_size)
    found: list[tuple[float, Matrix]] = []
    for scale in _SCALES:
        for angle in _ANGLES:
            placed = _about_centre(moving, small, scale, angle)
            other = _double_angle(*_warped(infrared, placed, small))
            product = (spectrum * torch.fft.fft2(other, spectrum_size).conj()).sum(0)
            both = (weights * torch.fft.rfft2(other.abs(), spectrum_size).conj()).sum(0)
            cosines = torch.fft.ifft2(product).real
            weight = torch.fft.irfft2(both, spectrum_size)
            score = covered(cosines, weight, weight.max())
            for value, index in zip(*score.flatten().topk(3), strict=True):
                dy, dx = divmod(int(index), spectrum_size[1])
                shift = np.eye(3)
                shift[:2, 2] = _signed(dx, spectrum_size[1]), _signed(dy, spectrum_size[0])
                found.append((float(value), invert(resize_matrix(fixed, small)) @ shift @ placed))
    found.sort(key=lambda entry: -entry[0])
    chosen: list[Candidate] = []
    diagonal = math.hypot(*fixed)
    for value, matrix in found:
        if all(apart(matrix, c.matrix, moving) > 0.06 * diagonal for c in chosen):
            chosen.append(Candidate(matrix / matrix[2, 2], value))
        if len(chosen) == count:
            break
    return chosen


def _about_centre(moving: Size, fixed: Size, scale: float, angle: float) -> Matrix:
    """Infrared -> visible pixels: centre on centre, turned, ``scale`` times as large as fills the visible frame."""
    cover = scale * max(fixed[0] / moving[0], fixed[1] / moving[1])
    cosine, sine = cover * math.cos(math.radians(angle)), cover * math.sin(math.radians(angle))
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    centre = np.array([(moving[1] - 1) / 2, (moving[0] - 1) / 2, 1])
    matrix[:2, 2] = np.array([(fixed[1] - 1) / 2, (fixed[0] - 1) / 2]) - (matrix @ centre)[:2]
    return matrix


def _warped(infrared: Tensor, matrix: Matrix, size: Size) -> tuple[Tensor, Tensor]:
    """Warped infrared, low-pass filtered first, and the mask of what it covers as float (1, 1, H, W)."""
    source = size_of(infrared)
    area = math.sqrt(abs(float(np.linalg.det(matrix[:2, :2]))))
    reduced = (max(round(source[0] * min(area, 1)), 8), max(round(source[1] * min(area, 1)), 8))
    backward = torch.from_numpy(resize_matrix(source, reduced) @ invert(matrix))
    y, x = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float64), torch.arange(size[1], dtype=torch.float64), indexing="ij"
    )
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ backward.T
    span = torch.tensor([reduced[1] - 1, reduced[0] - 1], dtype=torch.float64)
    grid = (points[..., :2] / span * 2 - 1).to(infrared)
    image = F.grid_sample(
        resize(infrared, reduced), grid.expand(len(infrared), -1, -1, -1), padding_mode="border", align_corners=True
    )
    return image, (grid.abs() <= 1).all(-1)[None, None].to(infrared)


def shrunk(size: Size, side: int) -> Size:
    """Height and width with the longer side at most ``side`` pixels, each at least 16."""
    scale = min(1.0, side / max(size))
    return max(round(size[0] * scale), 16), max(round(size[1] * scale), 16)


def _signed(shift: int, length: int) -> int:
    return shift - length if shift > length // 2 else shift


def size_of(image: Tensor) -> Size:
    """Height and width of an image (..., H, W)."""
    return int(image.shape[-2]), int(image.shape[-1])

"""``refine``, the robust default: learned cross-modal descriptors, many starts, coarse to fine, and a score.

1. The visible image is described once, at a working size. The infrared image is described at several scales, so that
   one of them is near the visible one's, whatever the two cameras' fields of view are.
2. Mutual nearest neighbours over the whole images give a similarity transform at each scale (random sampling, two
   matches at a time, stands nine wrong matches of ten). The plain resize is a start as well.
3. From the best starts: warp the infrared image by the estimate, describe it again (what was turned and scaled is now
   upright), match within a window that shrinks, fit robustly, first an affine transform, then the homography.
4. The score looks at the result once more: how many positions, asked over a wide window, answer "here"?
5. The best result is fitted once more at twice the working size, where a cell covers half as much of the scene.
6. From there the correlation of edge directions is climbed (`ldfusion.registration.orientation`). What matches and
   edges get wrong differs in part, so the result is the mean of both: half way between where they put each corner. The
   further they lie apart, the lower the score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.size import resize
from ldfusion.registration.correspond import Described, Matches, local_matches, mutual_matches
from ldfusion.registration.descriptors import MULTIPLE, STRIDE, MatchingNetwork
from ldfusion.registration.fit import check_model, fit, ransac
from ldfusion.registration.orientation import OrientationRegistrar
from ldfusion.registration.score import TRUSTED, agreement, consistency, positions, quality
from ldfusion.registration.warp import (
    Matrix,
    Size,
    apart,
    apart_inside,
    corners,
    inside,
    invert,
    mean_transform,
    resize_matrix,
    sample,
    sampling_points,
    transform_points,
)
from ldfusion.types import Registration, TransformModel
from ldfusion.weights import load

_ROUNDS = ((6, 2, "affine"), (5, 2, "last"), (3, 2, "last"))
"""Window radius in cells, step between the cells that are asked, and model of each round."""
_POLISH = ((3, 2, "last"),)
"""The same at twice the working size."""
_AGREED = 250.0
"""Matches (of 1000 positions asked) that agree on one transform, at which no further scale is looked at."""
_APART = 0.05
"""Share of the visible diagonal by which matches and edges may differ; beyond it the edges have lost their way."""
_FEWEST = 30
"""Matches below which nothing is fitted."""
_SURE = 0.4
"""Agreement at which no further start is tried."""
_SHORT = 128
"""Working pixels that the short side of a thin picture has if its area allows: fewer cells tell nothing across it."""
_AREA = 2**18
"""Working pixels at most."""
_VIEW_AREA = 3.2 * _AREA
"""Pixels at which an infrared image is shown at most: one of a much thinner shape would have to be enlarged beyond any
bound to cover the visible one."""
_SCALE = 2.0
"""Residual in pixels of the size that is worked at, at which a match has lost half its weight."""


@dataclass(frozen=True)
class Estimate:
    """Infrared pixels -> working pixels of the visible image.

    Attributes:
        matrix: the transform.
        support: what speaks for it: weight of the agreeing matches of a start, `agreement` of a result.
    """

    matrix: Matrix
    support: float


class RefineRegistrar:
    """The robust registration of one pair.

    Args:
        model: ``homography`` or ``affine``.
        weights: folder of the matching network; empty: the embedded one.
        working_size: longer side of the visible image while it is worked on, pixels.
        scales: how much larger than the visible frame the infrared one is shown, one start each, likely ones first.
        starts: how many of them are refined, besides the plain resize.
        device: where to compute.

    Raises:
        InputError: unknown model, or no weights.
    """

    def __init__(
        self,
        model: str = "homography",
        weights: str | Path = "",
        working_size: int = 512,
        scales: tuple[float, ...] = (1.05, 1.35, 0.8, 1.7, 0.6),
        starts: int = 2,
        device: str | torch.device = "cpu",
    ) -> None:
        check_model(model)
        self.model, self.working_size, self.scales, self.starts = model, working_size, scales, starts
        self.device = torch.device(device)
        network = load(MatchingNetwork, "matching", weights)
        self.edges = OrientationRegistrar(model, device=self.device)
        self.network = network.to(self.device, memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `Registrar`."""
        fixed: Size = (visible.shape[-2], visible.shape[-1])
        size = plan(fixed, self.working_size)
        visible, infrared = visible.to(self.device), infrared.to(self.device)
        described = self._describe(resize(visible, size), "visible")
        best: Estimate | None = None
        for start in self._starts(described, infrared, size):
            estimate = self._refine(described, infrared, start, size)
            if best is None or estimate.support > best.support:
                best = estimate
            if best.support >= _SURE:
                break
        assert best is not None
        matrix = invert(resize_matrix(fixed, size)) @ best.matrix
        score = quality(best.support, positions(described))
        trusted = score >= TRUSTED
        if trusted:
            matrix = self._polish(visible, infrared, matrix, (2 * size[0], 2 * size[1]))
            other = self.edges.polish(visible, infrared, matrix)
            score *= consistency(apart_inside(other, matrix, _size(infrared), fixed) / max(fixed))
            trusted = score >= TRUSTED
            if apart(matrix, other, _size(infrared)) < _APART * math.hypot(*fixed):
                matrix = mean_transform([matrix, other], _size(infrared))
        model: TransformModel = "homography" if self.model == "homography" else "affine"
        return Registration(matrix / matrix[2, 2], model, score, trusted)

    def _polish(self, visible: Tensor, infrared: Tensor, matrix: Matrix, size: Size) -> Matrix:
        """The last rounds, at a larger size; what they make of a matrix infrared -> visible pixels."""
        to_larger = resize_matrix((visible.shape[-2], visible.shape[-1]), size)
        described = self._describe(resize(visible, size), "visible")
        found = self._rounds(described, infrared, to_larger @ matrix, size, _POLISH)
        return matrix if found is None else invert(to_larger) @ found

    def _describe(self, image: Tensor, modality: str, valid: Tensor | None = None) -> Described:
        """Describe (1, C, H, W), sides multiples of 16; ``valid`` (H, W) bool marks the pixels that count."""
        descriptors, kappa = self.network.describe(image, modality)
        if valid is None:
            cells = torch.ones_like(kappa[0, 0], dtype=torch.bool)
        else:
            cells = F.avg_pool2d(valid[None, None].float(), STRIDE)[0, 0] > 0.99
        return Described(descriptors[0], kappa[0, 0], cells)

    def _starts(self, visible: Described, infrared: Tensor, size: Size) -> list[Matrix]:
        """The similarity transforms of the best supported scales, then the plain resize."""
        moving: Size = (infrared.shape[-2], infrared.shape[-1])
        cover = max(size[0] / moving[0], size[1] / moving[1])
        found = []
        for scale in self.scales:
            most = math.sqrt(_VIEW_AREA / (moving[0] * moving[1]))
            view = working_size(moving, max(moving) * min(cover * scale, most))
            described = self._describe(resize(infrared, view), "infrared")
            matrix, support = ransac(mutual_matches(visible, described), threshold=3.0 * STRIDE)
            found.append(Estimate(matrix @ resize_matrix(moving, view), support))
            if support >= _AGREED:
                break
        found.sort(key=lambda estimate: -estimate.support)
        return [*(estimate.matrix for estimate in found[: self.starts]), resize_matrix(moving, size)]

    def _warped(self, infrared: Tensor, matrix: Matrix, size: Size) -> Described:
        """The infrared image under an estimate, described on the grid of the visible one."""
        points = sampling_points(matrix, size, self.device)
        return self._describe(sample(infrared, points), "infrared", inside(points, _size(infrared)))

    def _rounds(
        self, visible: Described, infrared: Tensor, matrix: Matrix, size: Size, rounds: tuple[tuple[int, int, str], ...]
    ) -> Matrix | None:
        """Rounds of warping, matching and fitting; None when they lead nowhere."""
        for radius, step, model in rounds:
            matches = local_matches(visible, self._warped(infrared, matrix, size), radius, step)
            if len(matches) < _FEWEST:
                return None
            moving = transform_points(invert(matrix), matches.moving)
            kept = Matches(matches.fixed, moving, matches.weight)
            model = self.model if model == "last" else model
            matrix = fit(kept, matrix, model, _SCALE, _size(infrared))
            if not _plausible(matrix, _size(infrared), size):
                return None
        return matrix

    def _refine(self, visible: Described, infrared: Tensor, start: Matrix, size: Size) -> Estimate:
        """What the rounds make of a start; the support is its agreement."""
        found = self._rounds(visible, infrared, start, size, _ROUNDS)
        if found is None:
            return Estimate(start, 0.0)
        return Estimate(found, agreement(visible, self._warped(infrared, found, size)))


def plan(size: Size, longer: float) -> Size:
    """(height, width) a visible image is worked on at: bounded in area whatever its shape, so that memory is bounded.

    Args:
        size: of the visible image.
        longer: its longer side then; thin pictures get more, and nothing is enlarged more than twice.
    """
    scale = min(longer / max(size), 2.0)
    if min(size) * scale < _SHORT:
        scale = max(scale, min(_SHORT / min(size), 2.0, math.sqrt(_AREA / (size[0] * size[1]))))
    bounded = max(size) * min(scale, math.sqrt(_AREA / (size[0] * size[1])))
    return working_size(size, min(bounded, _AREA / (2 * MULTIPLE)))  # the short side has two multiples at least


def working_size(size: Size, longer: float) -> Size:
    """(height, width) scaled to a longer side of about ``longer`` pixels, both multiples of 16."""
    scale = longer / max(size)
    height, width = (max(2, round(side * scale / MULTIPLE)) * MULTIPLE for side in size)
    return height, width


def _size(image: Tensor) -> Size:
    return image.shape[-2], image.shape[-1]


def _plausible(matrix: Matrix, moving: Size, fixed: Size) -> bool:
    """Whether a camera could have done it: no mirror image, no fold, an area of 1/25 to 25 times the fixed frame's."""
    points = np.column_stack([corners(moving), np.ones(4)]) @ matrix.T
    if not np.isfinite(points).all() or (points[:, 2] * np.sign(matrix[2, 2]) <= 1e-3).any():
        return False
    x, y = (points[:, :2] / points[:, 2:]).T
    turns = [
        (x[(k + 1) % 4] - x[k]) * (y[(k + 2) % 4] - y[(k + 1) % 4])
        - (y[(k + 1) % 4] - y[k]) * (x[(k + 2) % 4] - x[(k + 1) % 4])
        for k in range(4)
    ]
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    return min(turns) > 0 and 1 / 25 < area / (fixed[0] * fixed[1]) < 25

"""``edges``: registration without weights, by a search over edge directions and a polish of what it finds.

The search of `ldfusion.registration.edges` knows similarity transforms on a coarse grid. The best of them are changed
continuously to where the edges of both images, or of several frames of a clip at once, agree best: first affinely, then
with a perspective that is drawn towards none. Published relatives are the registration by normalised gradient fields
(Haber and Modersitzki 2006) and by gradient orientation correlation (Fitch et al. 2002).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.color import luma
from ldfusion.io.size import resize
from ldfusion.registration.edges import Candidate, covered, gradient, search, shrunk, size_of
from ldfusion.registration.fit import check_model
from ldfusion.registration.warp import Matrix, Size, apart, invert, resize_matrix
from ldfusion.types import Registration, TransformModel

TRUSTED = 0.2
"""Score from which a registration is trusted."""

_MARGIN = 0.5  # part by which the best transform must agree better than any other one for its full score
_OTHER = 0.08  # share of the visible diagonal from which on a transform is another one
_FIRST = ((120, False),)
_LEVELS = ((240, False), (320, True))
_CANDIDATES = 6  # of the search, of which the best after the first level goes on
_UNIT = 0.05  # a change by 1 moves the border of the infrared frame by this part of its half diagonal
_PRIOR = 0.02  # agreement that a perspective of one unit has to be worth


class EdgeRegistrar:
    """See the module. Takes one pair, or several frames of a clip as a batch under one transform.

    Args:
        model: ``homography`` or ``affine``.
        device: where to compute.

    Raises:
        InputError: unknown model.
    """

    joint = True
    """Several frames may be registered at once."""

    def __init__(self, model: str = "homography", device: str | torch.device = "cpu") -> None:
        check_model(model)
        self.model, self.device = model, torch.device(device)

    @torch.no_grad()
    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """Register (B, 3, H, W) and (B, 1, h, w) in [0, 1].

        The score is the agreement of the edges, less where a wholly different transform does nearly as well.
        """
        visible, infrared = visible.to(self.device), infrared.to(self.device)
        starts = search(visible, infrared, _CANDIDATES)
        found = sorted((polish(visible, infrared, c.matrix, _FIRST) for c in starts), key=lambda c: -c.agreement)
        levels = [(side, projective and self.model == "homography") for side, projective in _LEVELS]
        best = polish(visible, infrared, found[0].matrix, levels)
        moving, limit = size_of(infrared), _OTHER * math.hypot(*size_of(visible))
        rival = max((c.agreement for c in found if apart(c.matrix, best.matrix, moving) > limit), default=0.0)
        margin = found[0].agreement / max(rival, 1e-6) - 1
        score = float(np.clip(best.agreement, 0, 1) * np.clip(margin / _MARGIN, 0, 1))
        model: TransformModel = "homography" if self.model == "homography" else "affine"
        return Registration(best.matrix, model, score, score >= TRUSTED)


def polish(visible: Tensor, infrared: Tensor, start: Matrix, levels: Sequence[tuple[int, bool]] = _LEVELS) -> Candidate:
    """Change the transform to where the edges agree best, coarse to fine (L-BFGS).

    Args:
        visible: frames (B, 3, H, W) in [0, 1].
        infrared: frames (B, 1, h, w) in [0, 1], the whole batch under one transform.
        start: infrared -> visible pixels, within some 5 % of the image.
        levels: longer side of the visible image to work at, and whether the perspective is free there.
    """
    moving = size_of(infrared)
    change = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    value = 0.0
    for side, projective in levels:
        scene = _Level(visible, infrared, side)
        free = torch.tensor([1.0] * 6 + [float(projective)] * 2, dtype=torch.float64)
        optimiser = torch.optim.LBFGS([change], max_iter=20, tolerance_change=1e-6, line_search_fn="strong_wolfe")

        def closure(scene: _Level = scene, free: Tensor = free, optimiser: torch.optim.LBFGS = optimiser) -> Tensor:
            optimiser.zero_grad()
            matrix = _changed(start, change * free, moving)
            loss = _PRIOR * (change[6:] ** 2).sum() - scene.agreement(matrix)[0]
            loss.backward()
            return loss

        with torch.enable_grad():
            optimiser.step(closure)
        with torch.no_grad():
            agreement, cover = scene.agreement(_changed(start, change * free, moving))
            value = float(covered(agreement * cover, cover, torch.ones_like(cover)))
    matrix = _changed(start, change.detach() * free, moving).numpy()
    return Candidate(matrix / matrix[2, 2], value)


def _changed(start: Matrix, change: Tensor, moving: Size) -> Tensor:
    """``start`` after a change of the infrared frame about its centre, see `_UNIT`."""
    a, b, c, d, e, f, g, h = (change * _UNIT).unbind()
    one = torch.ones_like(a)
    middle = torch.stack([one + a, b, e, c, one + d, f, g, h, one]).view(3, 3)
    radius = math.hypot(*moving) / 2
    frame = np.array([[radius, 0, (moving[1] - 1) / 2], [0, radius, (moving[0] - 1) / 2], [0, 0, 1]])
    return torch.from_numpy(start @ frame) @ middle @ torch.from_numpy(invert(frame))


class _Level:
    """The frames at one size, and their agreement under a transform of the full-size frames."""

    def __init__(self, visible: Tensor, infrared: Tensor, side: int) -> None:
        self.full = size_of(infrared)
        fixed = size_of(visible)
        size, source = shrunk(fixed, side), shrunk(self.full, side)
        self.visible = gradient(resize(luma(visible), size))
        self.infrared = resize(infrared, source)
        self.before = torch.from_numpy(resize_matrix(fixed, size))
        self.after = torch.from_numpy(invert(resize_matrix(self.full, source)))
        y, x = torch.meshgrid(
            torch.arange(size[0], dtype=torch.float64), torch.arange(size[1], dtype=torch.float64), indexing="ij"
        )
        self.points = torch.stack([x, y, torch.ones_like(x)], dim=-1)
        self.span = torch.tensor([source[1] - 1, source[0] - 1], dtype=torch.float64)

    def agreement(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over the frames of the weighted cosine of twice the angle, in -1..1, and the covered share of edges."""
        backward = torch.linalg.inv(self.before @ matrix @ self.after)
        points = self.points @ backward.T
        grid = (points[..., :2] / points[..., 2:] / self.span * 2 - 1).to(self.infrared)
        inside = (grid.detach().abs() <= 1).all(-1)[None, None].to(self.infrared)
        warped = F.grid_sample(
            self.infrared, grid.expand(len(self.infrared), -1, -1, -1), padding_mode="border", align_corners=True
        )
        (vx, vy), (ix, iy) = self.visible, gradient(warped)
        v, i = vx**2 + vy**2, ix**2 + iy**2
        mask = -F.max_pool2d(-inside, 3, 1)
        weight = (v * i + 1e-14).sqrt() * mask
        cosine = 2 * (vx * ix + vy * iy) ** 2 / (v * i + 1e-14) - 1
        total = weight.sum((1, 2, 3)).clamp_min(1e-12)
        cover = ((v.sqrt() * mask).sum((1, 2, 3)) / v.sqrt().sum((1, 2, 3)).clamp_min(1e-12)).mean()
        return ((weight * cosine).sum((1, 2, 3)) / total).mean(), cover

"""``orientation``: registers a pair by climbing the correlation of its edge directions, without anything learned.

Grey values and edge strengths of two sensors are not alike, and a similarity of them is flat. What both share is where
edges run and in which direction, without sign. So each image becomes maps of edges by direction, measured against the
edges around them (local normalisation), smoothed, and freed from what varies slowly (how many edges there are at all).
Their correlation over the overlap is climbed by gradient ascent on the transform's parameters, from several scales at
once on a small picture with wide smoothing, then from the best of them on larger pictures with less: translation,
rotation and scale first, then affine, then the perspective. Oriented gradients for multimodal matching: Ye et al.
2019 (CFOG); coarse-to-fine ascent on a dense correlation: Evangelidis and Psarakis 2008 (ECC).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.size import resize
from ldfusion.registration.ascent import Level, Scale, climb, transforms
from ldfusion.registration.directions import edge_directions
from ldfusion.registration.fit import check_model
from ldfusion.registration.inputs import grey
from ldfusion.registration.warp import Matrix, Size, resize_matrix
from ldfusion.types import Registration

MODELS = {"similarity": 4, "affine": 6, "homography": 8}
"""Transform -> its degrees of freedom."""
TRUSTED = 0.5
"""Score from which a registration is trusted."""

BASE = 160
"""Longer side of the smallest picture of the pyramid, pixels; each level doubles it."""
_EMPTY = 1 / 255
"""Infrared values up to this in a whole neighbourhood are a border without data."""


COARSE = (Level(0, 8.0, 50, 0.03, 4), Level(0, 4.0, 40, 0.015, 4))
"""From every start; the best of them goes on."""
FINE = (
    Level(0, 2.0, 40, 0.008, 6),
    Level(1, 2.0, 35, 0.004, 8),
    Level(1, 1.0, 35, 0.002, 8),
)
NEAR = FINE[1:]
"""From a transform that is right to a few pixels."""
STARTS = (0.7, 0.85, 1.0)
"""Sizes of the visible field of view in the infrared one, where 1 is the infrared image laid over it with its own
aspect so that it just covers it."""


WIDER: tuple[tuple[float, float, float, float], ...] = (
    *((tx, ty, 0.0, scale) for scale in (0.6, 0.9) for tx, ty in ((-0.2, 0.0), (0.2, 0.0), (0.0, -0.2), (0.0, 0.2))),
    (0.0, 0.0, -0.15, 0.9),
    (0.0, 0.0, 0.15, 0.9),
    (0.0, 0.0, 0.0, 1.3),
)
"""Starts (shift x, y in half visible widths, angle in radians, scale) that are tried where those do not succeed."""


_LARGEST = 6.0
"""Area of the infrared picture at most, in areas of the visible one."""


def working_sizes(visible: Size, infrared: Size, octave: int) -> tuple[Size, Size]:
    """Sizes of both pictures at an octave: the visible one's longer side, and the infrared one where it just covers."""
    factor = BASE * 2**octave / max(visible)
    fixed = (max(8, round(visible[0] * factor)), max(8, round(visible[1] * factor)))
    cover = max(fixed[0] / infrared[0], fixed[1] / infrared[1])
    # of a much thinner shape than the visible one, it would grow beyond any bound
    cover = min(cover, math.sqrt(_LARGEST * fixed[0] * fixed[1] / (infrared[0] * infrared[1])))
    return fixed, (max(8, round(infrared[0] * cover)), max(8, round(infrared[1] * cover)))


def _picture(image: Tensor, size: Size) -> Tensor:
    return resize(image, size) if image.shape[-2] >= size[0] else F.interpolate(image, size, mode="bilinear")


class OrientationRegistrar:
    """Registers a pair of any sizes by edge directions alone.

    Args:
        model: ``homography``, ``affine`` or ``similarity``.
        starts: scales to start from, see `STARTS`.
        device: where to compute.

    Raises:
        InputError: unknown model.
    """

    def __init__(
        self,
        model: str = "homography",
        starts: tuple[float, ...] = STARTS,
        device: str | torch.device = "cpu",
    ) -> None:
        check_model(model, MODELS)
        self.model, self.starts, self.device = model, starts, torch.device(device)

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `ldfusion.registration.methods.Registrar`."""
        return self.refine(visible, infrared, None)

    def refine(self, visible: Tensor, infrared: Tensor, start: Matrix | None) -> Registration:
        """Register from a given start.

        Args:
            visible: (1, 3, H, W) in [0, 1].
            infrared: (1, 1, h, w) in [0, 1].
            start: infrared -> visible pixels, as near as a fifth of the image, taken at all scales of ``starts``; None:
                the infrared image covering the visible one at those scales, and wider starts if that fails.
        """
        sizes, scales = self._prepare(visible, infrared, (*COARSE, *FINE))
        if start is not None:
            near = to_parameters(start, *sizes).repeat(len(self.starts), 1)
            near[:, 3] += torch.tensor(self.starts).log()
            found, worth = self._ascend(scales, near)
        else:
            found, worth = self._ascend(scales, _starts([(0.0, 0.0, 0.0, scale) for scale in self.starts]))
            if confidence(worth) < TRUSTED:
                other, better = self._ascend(scales, _starts(WIDER))
                found, worth = (other, better) if better > worth else (found, worth)
        matrix = to_matrix(found, *sizes)
        score = confidence(worth)
        model: Any = "homography" if self.model == "homography" else "affine"
        return Registration(matrix, model, score, score >= TRUSTED)

    def polish(self, visible: Tensor, infrared: Tensor, start: Matrix) -> Matrix:
        """The transform that is climbed to from one that is right to a few pixels; arguments as of `refine`."""
        sizes, scales = self._prepare(visible, infrared, NEAR)
        found, _ = self._climb(scales, NEAR, to_parameters(start, *sizes).to(self.device))
        return to_matrix(found, *sizes)

    def _prepare(
        self, visible: Tensor, infrared: Tensor, levels: Sequence[Level]
    ) -> tuple[tuple[Size, Size], dict[int, Scale]]:
        """(height, width) of both images, and the pictures of the octaves that the levels need."""
        fixed, moving = grey(visible).to(self.device), infrared.to(self.device)
        sizes = ((fixed.shape[-2], fixed.shape[-1]), (moving.shape[-2], moving.shape[-1]))
        octaves = {level.octave for level in levels}
        return sizes, {octave: _scale(fixed, moving, *working_sizes(*sizes, octave)) for octave in octaves}

    def _ascend(self, scales: Mapping[int, Scale], starts: Tensor) -> tuple[Tensor, float]:
        """The best parameters (1, 8) reached from (B, 8) starts, and their worth."""
        with torch.enable_grad():
            found, worth = starts.to(self.device), torch.zeros(len(starts))
            for level in COARSE:
                found, worth = climb(scales[level.octave], level, found)
        return self._climb(scales, FINE, found[worth.argmax()][None])

    def _climb(self, scales: Mapping[int, Scale], levels: Sequence[Level], start: Tensor) -> tuple[Tensor, float]:
        """Climb the levels from (1, 8) parameters; the new ones and their worth."""
        found, worth = start, torch.zeros(1)
        with torch.enable_grad():
            for level in levels:
                bounded = replace(level, freedom=min(level.freedom, MODELS[self.model]))
                found, worth = climb(scales[level.octave], bounded, found)
        return found, float(worth[0])


def _starts(given: Sequence[tuple[float, float, float, float]]) -> Tensor:
    parameters = torch.zeros(len(given), 8)
    parameters[:, :4] = torch.tensor(given)
    parameters[:, 3].log_()
    return parameters


def _scale(fixed: Tensor, moving: Tensor, fixed_size: Size, moving_size: Size) -> Scale:
    small, other = _picture(fixed, fixed_size), _picture(moving, moving_size)
    data = (F.max_pool2d(other, 5, 1, 2) > _EMPTY).float()
    return Scale(*edge_directions(small, torch.ones_like(small)), *edge_directions(other, data))


def _frames(visible: Size, infrared: Size) -> tuple[NDArray[Any], NDArray[Any]]:
    """Visible and infrared pixels -> centred coordinates in half visible widths (the infrared just covering)."""
    fixed, moving = working_sizes(visible, infrared, 1)
    found = []
    for size, working in ((visible, fixed), (infrared, moving)):
        unit = fixed[1] / 2
        centre = np.array([[1 / unit, 0, -(working[1] - 1) / 2 / unit], [0, 1 / unit, -(working[0] - 1) / 2 / unit]])
        found.append(np.vstack([centre, [0, 0, 1]]) @ resize_matrix(size, working))
    return found[0], found[1]


def to_matrix(parameters: Tensor, visible: Size, infrared: Size) -> Matrix:
    """Infrared -> visible pixels of (1, 8) parameters."""
    to_visible, to_infrared = _frames(visible, infrared)
    backward = transforms(parameters.detach().double().cpu())[0].numpy()
    matrix = np.linalg.inv(to_visible) @ np.linalg.inv(backward) @ to_infrared
    return np.asarray(matrix / matrix[2, 2], dtype=np.float64)


def to_parameters(matrix: Matrix, visible: Size, infrared: Size) -> Tensor:
    """(1, 8) float32 parameters of an infrared -> visible matrix, nearest within the model (exact without shear)."""
    to_visible, to_infrared = _frames(visible, infrared)
    t = to_infrared @ np.linalg.inv(matrix) @ np.linalg.inv(to_visible)
    t = t / t[2, 2]
    # s cos e^a and s cos e^-a on the diagonal, s sin below it; what the corner above has besides is shear
    diagonal = math.sqrt(max(t[0, 0] * t[1, 1], 1e-6))
    angle, scale = math.atan2(t[1, 0], diagonal), math.log(math.hypot(diagonal, t[1, 0]))
    aspect = math.log(max(t[0, 0] / t[1, 1], 1e-6)) / 2
    return torch.tensor([[t[0, 2], t[1, 2], angle, scale, aspect, t[0, 1] + t[1, 0], t[2, 0], t[2, 1]]]).float()


_MIDDLE, _STEEPNESS = 0.12, 60.0
"""Final correlation at which half of the registrations are right, and how sharply it tells; see `confidence`."""


def confidence(worth: float) -> float:
    """Probability in [0, 1] that the corners are within 20 pixels of 500, by the final correlation."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, _STEEPNESS * (worth - _MIDDLE)))))

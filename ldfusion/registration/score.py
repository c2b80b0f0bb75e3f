"""The quality score of a registration: what the described images say about it, and how that became a probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ldfusion.registration.correspond import Described, local_similarity

_RADIUS = 8
"""Cells: the window is 17x17 cells, 68x68 working pixels; chance answers "here" for 9 of 289."""
_STEP = 2
_HERE, _LOG_SIGMA, _BIAS = 1.59, -6.55, -31.67
"""Logistic regression on 28 of RoadScene's and MSRS' training pairs (raw, warped, and of different scenes)."""
_CHANCE = 0.25
"""Agreement below which the score is scaled down: strangers reach 0.2."""


@dataclass(frozen=True)
class Evidence:
    """What the score is made of.

    Attributes:
        here: share of positions, weighed by their concentration, whose best match within the window lies within a cell
            of where the registration puts it; 0 to 1.
        spread: the same of the third worst of nine parts of the overlap: one good corner is not a registration.
        overlap: share of the visible image that the infrared one covers.
        sigma: expected error of the corners by the fit's own covariance, as a share of the longer side.
    """

    here: float
    spread: float
    overlap: float
    sigma: float


def agreement(visible: Described, infrared: Described) -> tuple[float, float, float]:
    """``here``, ``spread`` and ``overlap`` of `Evidence` for an infrared image warped onto the visible grid."""
    similarity = local_similarity(visible, infrared, _RADIUS, _STEP)
    side = 2 * _RADIUS + 1
    peak = similarity.argmax(0)
    at_home = ((peak // side - _RADIUS).abs() <= 1) & ((peak % side - _RADIUS).abs() <= 1)
    seen = (visible.valid & infrared.valid)[::_STEP, ::_STEP]
    weight = visible.kappa[::_STEP, ::_STEP] * seen
    overlap = seen.float().mean().item()
    if overlap == 0:
        return 0.0, 0.0, 0.0
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    parts = []
    for band in rows.chunk(3):
        for part in columns.chunk(3):
            w = weight[band[0] : band[-1] + 1, part[0] : part[-1] + 1]
            hit = at_home[band[0] : band[-1] + 1, part[0] : part[-1] + 1]
            if w.sum() > 0:
                parts.append(((w * hit).sum() / w.sum()).item())
    here = ((weight * at_home).sum() / weight.sum()).item()
    return here, sorted(parts)[min(2, len(parts) - 1)], overlap


def quality(evidence: Evidence) -> float:
    """Probability in [0, 1] that the corners are within 10 pixels: a logistic function of ``here`` and ``sigma``.

    Sigma knows how far the corners lie outside the matches, which agreement inside the picture cannot tell.
    """
    logit = _HERE * evidence.here + _LOG_SIGMA * math.log(max(evidence.sigma, 1e-6)) + _BIAS
    return min(1.0, evidence.here / _CHANCE) / (1 + math.exp(-max(min(logit, 50.0), -50.0)))

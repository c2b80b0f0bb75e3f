"""The quality score of a registration: what the described images say once the infrared one lies where it should.

Its edges, which know nothing of that, have to say the same.
"""

from __future__ import annotations

import math

from ldfusion.registration.correspond import Described, local_similarity

TRUSTED = 0.5
"""Score from which a registration is trusted."""

RIGHT = 1 / 64
"""Mean error, as a share of the longer side, up to which a registration is right: 10 pixels of 640."""

_RADIUS = 8
"""Cells: the window is 17x17 cells, 68x68 working pixels; chance answers "here" for 9 of 289."""
_STEP = 2
_MIDDLE, _STEEPNESS = 0.22, 25.0
"""Support at which half of the registrations are right, and how sharply it tells. On training pairs of RoadScene and
MSRS right ones had 0.25 to 0.97, wrong ones up to 0.19, those of different scenes up to 0.13."""
_USUAL = 3072
"""Positions that are asked at 512 x 384 working pixels."""
_SPREAD = 5.0
"""A wrong strip of 325 x 32 pixels, of 656 positions, had a support of 0.28, right ones of that shape 0.39 and more
(`scripts/benchmark.py registration-trust`)."""


def agreement(visible: Described, infrared: Described) -> float:
    """What speaks for a registration, 0 to 1.

    The share of positions, weighed by their concentration, whose best match within a wide window lies within a cell of
    where the registration puts it; times the root of the share of the visible image that is covered, since a small
    overlap agrees with many things by chance.

    Args:
        visible: the described visible image.
        infrared: the described infrared image, warped onto the same grid.
    """
    similarity = local_similarity(visible, infrared, _RADIUS, _STEP)
    side = 2 * _RADIUS + 1
    peak = similarity.argmax(0)
    at_home = ((peak // side - _RADIUS).abs() <= 1) & ((peak % side - _RADIUS).abs() <= 1)
    seen = (visible.valid & infrared.valid)[::_STEP, ::_STEP]
    weight = visible.kappa[::_STEP, ::_STEP] * seen
    if not bool(seen.any()):
        return 0.0
    here = ((weight * at_home).sum() / weight.sum()).item()
    return here * seen.float().mean().item() ** 0.5


def positions(visible: Described) -> int:
    """How many positions `agreement` asks."""
    return int(visible.kappa[::_STEP, ::_STEP].numel())


def quality(support: float, asked: int = _USUAL) -> float:
    """Score in [0, 1] of an `agreement`: the probability that the registration is right, by a logistic curve.

    Args:
        support: the agreement.
        asked: how many `positions` it is a share of. The fewer, the more of them agree by chance: the middle of the
            curve rises with the inverse of their square root, as the spread of a share does.
    """
    middle = _MIDDLE + _SPREAD * max(0.0, asked**-0.5 - _USUAL**-0.5)
    return 1 / (1 + math.exp(-_STEEPNESS * (support - middle)))


def consistency(difference: float) -> float:
    """What two ways to the same transform say about their mean, by how far they lie apart: 1 to 0.

    Matches and edges err in different places. Where they lie twice `RIGHT` apart their mean is as far off as it may be,
    and right as often as not.

    Args:
        difference: mean distance of both over what the infrared image covers, a share of the visible longer side.
    """
    return 1 / (1 + (difference / (2 * RIGHT)) ** 4)

"""Transforms from correspondences: a random-sample start that stands nine wrong matches of ten, and a robust fit."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from ldfusion.config import nearest
from ldfusion.errors import InputError
from ldfusion.registration.correspond import Matches
from ldfusion.registration.warp import Matrix, invert, transform_points

MODELS = ("homography", "affine")
"""What a registration may be asked for."""
_ROUNDS = 12
_PERSPECTIVE_SIGMA = 0.04
"""How far the scale usually changes from the middle to the border of an infrared frame (RoadScene's training pairs)."""
_CORRELATED = 16.0
"""Matches of neighbouring cells err alike: so many count as one independent measurement."""
_MATCH_SIGMA = 2.0
"""Usual error of a match, pixels."""


def check_model(model: str, known: Iterable[str] = MODELS) -> None:
    """Raise InputError for a model of transforms that a registration does not know."""
    if model not in known:
        raise InputError(f"registration model: unknown '{model}'; {nearest(model, known)}")


def ransac(matches: Matches, threshold: float) -> tuple[Matrix, float]:
    """Similarity transform moving -> fixed that most matches agree with, and the weight of those that do.

    Four parameters from two matches at a time (OpenCV, 5000 draws): it still finds its way when one match in ten is
    right. The sum of weights is 0 when there are too few matches.

    Args:
        threshold: largest distance of a match that agrees, fixed pixels.
    """
    if len(matches) < 4:
        return np.eye(3), 0.0
    cv2.setRNGSeed(0)  # the same pair gives the same transform
    found, mask = cv2.estimateAffinePartial2D(
        matches.moving, matches.fixed, method=cv2.RANSAC, ransacReprojThreshold=threshold, maxIters=5000,
        confidence=0.9999,
    )  # fmt: skip
    if found is None or not np.isfinite(found).all() or abs(np.linalg.det(found[:, :2])) < 1e-3:
        return np.eye(3), 0.0
    return np.vstack([found, [0, 0, 1]]), float(matches.weight[mask[:, 0] > 0].sum())


def fit(matches: Matches, start: Matrix, model: str, scale: float, frame: tuple[int, int]) -> Matrix:
    """Robust weighted least squares by Gauss-Newton, started from an estimate.

    Each match weighs its own weight times the Cauchy weight 1 / (1 + (r / scale)^2) of its residual. A homography's two
    perspective terms are drawn towards 0 by a Gaussian prior, so that matches on one side of the image do not bend
    the other side.

    Args:
        start: moving -> fixed.
        model: ``affine`` or ``homography``.
        scale: residual (fixed pixels) at which a match has lost half its weight.
        frame: (height, width) of the moving image; parameters are fitted in coordinates of -1 to 1 over it.

    Returns:
        The matrix, moving -> fixed.
    """
    height, width = frame
    centre, half = np.array([(width - 1) / 2, (height - 1) / 2]), np.array([width / 2, height / 2])
    to_unit = np.array([[1 / half[0], 0, -centre[0] / half[0]], [0, 1 / half[1], -centre[1] / half[1]], [0, 0, 1]])
    u = transform_points(to_unit, matches.moving)
    h: Matrix = start @ invert(to_unit)
    h = h / h[2, 2]
    size = 8 if model == "homography" else 6
    if model != "homography":
        h = _affine_part(h)
    prior = np.zeros(size)
    prior[6:] = _CORRELATED * (_MATCH_SIGMA / _PERSPECTIVE_SIGMA) ** 2
    for _ in range(_ROUNDS):
        jacobian, predicted = _jacobian(h, u, size)
        residual = matches.fixed - predicted
        weight = matches.weight / (1 + (residual**2).sum(1) / scale**2)
        weighted = jacobian * weight[:, None, None]
        normal = np.einsum("nki,nkj->ij", weighted, jacobian) + np.diag(prior) + 1e-9 * np.eye(size)
        flat = h.ravel()
        gradient = np.einsum("nki,nk->i", weighted, residual) - prior * flat[:size]
        step = np.linalg.solve(normal, gradient)
        flat = flat.copy()
        flat[:size] += step
        h = flat.reshape(3, 3)
        if np.abs(step[:6]).max() < 1e-3:
            break
    matrix = h @ to_unit
    return matrix / matrix[2, 2]


def _affine_part(h: Matrix) -> Matrix:
    """First-order part of a homography at the origin."""
    linear = h[:2, :2] - np.outer(h[:2, 2], h[2, :2])
    return np.vstack([np.column_stack([linear, h[:2, 2]]), [0, 0, 1]])


def _jacobian(h: Matrix, u: NDArray[np.float64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2, size) derivative of the mapped points by the first entries of ``h``, and the (N, 2) points."""
    homogeneous = np.column_stack([u, np.ones(len(u))])
    mapped = homogeneous @ h.T
    depth = np.where(np.abs(mapped[:, 2]) < 1e-6, 1e-6, mapped[:, 2])
    points = mapped[:, :2] / depth[:, None]
    result = np.zeros((len(u), 2, 8))
    result[:, 0, 0:3] = result[:, 1, 3:6] = homogeneous / depth[:, None]
    result[:, :, 6:8] = -points[:, :, None] * (u / depth[:, None])[:, None, :]
    return result[:, :, :size], points

"""Transforms from correspondences: exact, noisy, and with most of the matches wrong."""

from __future__ import annotations

import numpy as np
import pytest

from ldfusion.registration.correspond import Matches
from ldfusion.registration.fit import fit, ransac
from ldfusion.registration.warp import corners, transform_points

FRAME = (240, 320)
SIMILAR = np.array([[0.9, -0.1, 20.0], [0.1, 0.9, -8.0], [0, 0, 1]])
HOMOGRAPHY = np.array([[0.9, -0.1, 20.0], [0.05, 0.95, -8.0], [8e-5, -6e-5, 1]])


def make(matrix: np.ndarray, count: int, noise: float, wrong: float, seed: int = 0) -> Matches:
    rng = np.random.default_rng(seed)
    moving = rng.uniform((0, 0), (FRAME[1], FRAME[0]), (count, 2))
    fixed = transform_points(matrix, moving) + rng.normal(0, noise, (count, 2))
    bad = rng.random(count) < wrong
    fixed[bad] = rng.uniform((0, 0), (FRAME[1], FRAME[0]), (int(bad.sum()), 2))
    return Matches(fixed, moving, np.ones(count))


def error(estimate: np.ndarray, truth: np.ndarray) -> float:
    points = corners(FRAME)
    return float(np.abs(transform_points(estimate, points) - transform_points(truth, points)).max())


def test_random_sampling_stands_nine_wrong_of_ten() -> None:
    matrix, support = ransac(make(SIMILAR, 600, 1.0, 0.9), threshold=8)
    assert error(matrix, SIMILAR) < 8
    assert 50 < support < 120


def test_too_few_matches_have_no_support() -> None:
    matrix, support = ransac(make(SIMILAR, 3, 0, 0), threshold=8)
    assert support == 0 and np.array_equal(matrix, np.eye(3))


@pytest.mark.parametrize("model", ["affine", "homography"])
def test_exact_matches_give_the_exact_transform(model: str) -> None:
    truth = HOMOGRAPHY if model == "homography" else np.vstack([HOMOGRAPHY[:2], [0, 0, 1]])
    matrix = fit(make(truth, 5000, 0, 0), SIMILAR, model, 5, FRAME)
    assert error(matrix, truth) < (0.4 if model == "homography" else 1e-3)  # the prior pulls a little
    assert matrix[2, 2] == 1 and (model == "homography" or np.array_equal(matrix[2], [0, 0, 1]))


def test_wrong_matches_hardly_matter() -> None:
    matrix = fit(make(HOMOGRAPHY, 3000, 1.0, 0.4), SIMILAR, "homography", 2, FRAME)
    assert error(matrix, HOMOGRAPHY) < 1.5


def test_the_affine_start_of_a_homography_is_its_tangent() -> None:
    matrix = fit(make(HOMOGRAPHY, 3000, 0, 0), HOMOGRAPHY, "affine", 50, FRAME)
    middle = np.array([[(FRAME[1] - 1) / 2, (FRAME[0] - 1) / 2]])
    assert np.abs(transform_points(matrix, middle) - transform_points(HOMOGRAPHY, middle)).max() < 1

"""Pairs of one rig that vote for their transform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.registration.votes import fixed_rig, largest_group, matrix_of
from ldfusion.registration.warp import Matrix, corners, invert, transform_points, warp_image
from ldfusion.types import Registration

SIZE = (240, 320)
TRUTH = invert(np.array([[1.05, 0.06, -12.0], [-0.06, 1.05, 8.0], [0, 0, 1]]))
ODD = TRUTH + np.array([[0, 0, 40], [0, 0, -30], [0, 0, 0]])


class Given:
    """A registrar that gives matrices in turn: a single pair's estimate, right, odd or not trusted."""

    def __init__(self, matrices: Sequence[Matrix | None]) -> None:
        self.matrices = list(matrices)

    def __call__(self, visible: torch.Tensor, infrared: torch.Tensor) -> Registration:
        matrix = self.matrices.pop(0)
        return Registration(
            TRUTH if matrix is None else matrix, "homography", 0.1 if matrix is None else 0.9, matrix is not None
        )


def off(x: float, y: float) -> Matrix:
    return TRUTH + np.array([[0, 0, x], [0, 0, y], [0, 0, 0]])


@pytest.fixture
def pair(drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    visible, infrared = drawn_scene
    return visible, warp_image(infrared, invert(TRUTH), SIZE)


def test_the_most_agree_and_their_edges_know_it_better(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    votes = [off(3, 0), ODD, off(-1, 2), None, off(3, 1)]
    found = fixed_rig([pair] * 5, Given(votes))
    assert found.trusted and found.score == pytest.approx(0.9 * 3 / 4) and found.model == "homography"
    assert corner_error(found.matrix, TRUTH, SIZE) < 1 < corner_error(off(3, 0), TRUTH, SIZE)


def test_without_two_that_agree_nothing_is_trusted(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert not fixed_rig([pair] * 3, Given([off(0, 0), ODD, None])).trusted
    assert not fixed_rig([pair] * 2, Given([None, None])).trusted
    assert fixed_rig([pair], Given([off(0, 0)])).trusted  # one pair alone is what it is


def test_what_cannot_vote(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    visible, infrared = pair
    with pytest.raises(InputError, match="these have several"):
        fixed_rig([pair, (visible[..., :-2], infrared)], Given([TRUTH, TRUTH]))
    with pytest.raises(InputError, match="no pair that can be read"):
        fixed_rig([], Given([]))

    def dense(visible: torch.Tensor, infrared: torch.Tensor) -> Registration:
        return replace(Registration(TRUTH, "homography", 1.0, True), model="flow", flow=torch.zeros(2, *SIZE))

    with pytest.raises(InputError, match="that finds a matrix"):
        fixed_rig([pair], dense)


def test_groups_and_corners() -> None:
    places = [transform_points(m, corners(SIZE)) for m in (off(0, 0), ODD, off(1, 1), off(0, 2))]
    assert largest_group(places, 3.0) == [0, 2, 3]
    assert largest_group([], 3.0) == []
    assert np.allclose(matrix_of(places[1], SIZE), ODD)

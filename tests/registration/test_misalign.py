from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ldfusion.registration import warp
from ldfusion.registration.misalign import MisalignmentRange, cut_pair, draw_matrices
from ldfusion.registration.warp import transform_points

SIZE = (60, 80)


def corners(matrix: np.ndarray) -> np.ndarray:
    h, w = SIZE
    points = np.array([[0, 0, 1], [w - 1, 0, 1], [w - 1, h - 1, 1], [0, h - 1, 1]], dtype=float) @ matrix.T
    return points[:, :2] / points[:, 2:]


def test_each_range_alone_moves_only_its_own_quantity() -> None:
    still = {"rotation": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "perspective": 0.0}
    centre = np.array([39.5, 29.5, 1.0])
    for seed in range(20):
        draw = lambda **kw: MisalignmentRange(**{**still, **kw}).draw(np.random.default_rng(seed), SIZE)  # noqa: B023, E731
        assert np.allclose(draw(), np.eye(3))
        shifted = draw(shift=0.1)
        assert np.allclose(shifted[:2, :2], np.eye(2)) and abs(shifted[0, 2]) <= 8 and abs(shifted[1, 2]) <= 6
        turned = draw(rotation=10.0)
        assert abs(math.degrees(math.atan2(turned[1, 0], turned[0, 0]))) <= 10
        assert np.linalg.det(turned[:2, :2]) == pytest.approx(1)
        scaled = draw(scale=(0.8, 1.25))
        assert 0.8 <= scaled[0, 0] <= 1.25 and scaled[0, 0] == pytest.approx(scaled[1, 1])
        wider = draw(aspect=(0.8, 1.25))
        assert wider[0, 0] * wider[1, 1] == pytest.approx(1) and 0.8 <= wider[0, 0] / wider[1, 1] <= 1.25
        tilted = draw(perspective=0.05)
        sides = (
            tilted[2] @ np.array([[0, 29.5, 1], [79, 29.5, 1], [39.5, 0, 1], [39.5, 59, 1]]).T / (tilted[2] @ centre)
        )
        assert np.abs(sides - 1).max() <= 0.05 + 1e-9
        for matrix in (turned, scaled, wider, tilted):
            moved = matrix @ centre
            assert np.allclose(moved[:2] / moved[2], centre[:2])


def test_a_rig_moves_all_pairs_alike() -> None:
    rig = MisalignmentRange(rotation=0, scale=(1, 1), shift=0, perspective=0, offset=(0.1, -0.05))
    for seed in range(3):
        assert np.allclose(rig.draw(np.random.default_rng(seed), SIZE), [[1, 0, 8], [0, 1, -3], [0, 0, 1]])
    assert np.allclose(rig.draw(np.random.default_rng(0), SIZE, 0.5)[:2, 2], [4, -1.5])


def test_the_range_is_used_to_its_ends() -> None:
    drawn = [MisalignmentRange().draw(np.random.default_rng(k), SIZE) for k in range(300)]
    shifts = np.array([(m @ [39.5, 29.5, 1])[:2] / (m @ [39.5, 29.5, 1])[2] - [39.5, 29.5] for m in drawn])
    assert np.abs(shifts[:, 0]).max() > 0.9 * 9.6 and np.abs(shifts[:, 1]).max() > 0.9 * 7.2
    assert np.abs(shifts).max(0) == pytest.approx([9.6, 7.2], rel=0.1)


def test_the_defaults_stay_within_what_they_promise() -> None:
    for seed in range(20):
        matrix = MisalignmentRange().draw(np.random.default_rng(seed), (100, 200))
        centre = transform_points(matrix, np.array([[99.5, 49.5]]))[0] - (99.5, 49.5)
        assert abs(centre[0]) <= 24 and abs(centre[1]) <= 12
        frame = warp.corners((100, 200))
        sides = np.linalg.norm(np.diff(transform_points(matrix, frame), axis=0), axis=1) / (199, 99, 199)
        assert (0.75 < sides).all() and (sides < 1.3).all()


def test_strength_and_seeds() -> None:
    ranges = MisalignmentRange()
    assert torch.allclose(draw_matrices([3], SIZE, ranges, strength=(0.0, 0.0))[0], torch.eye(3, dtype=torch.float64))
    both = draw_matrices([3, 4], SIZE, ranges)
    assert torch.equal(both[1], draw_matrices([4], SIZE, ranges)[0])
    weak = draw_matrices([3, 4], SIZE, ranges, strength=(0.5, 0.5))
    error = [np.abs(corners(m.numpy()) - corners(np.eye(3))).mean() for m in (both[0], weak[0])]
    assert 0 < error[1] < error[0]


def test_a_cut_pair_is_related_by_the_matrix() -> None:
    rows, columns = torch.meshgrid(torch.arange(100.0), torch.arange(130.0), indexing="ij")
    frame = torch.stack([columns, rows])[None].repeat(3, 1, 1, 1)  # each pixel knows where it is
    matrices = draw_matrices([0, 1, 2], SIZE, MisalignmentRange())
    fixed, moving, start = cut_pair(frame, frame, matrices, SIZE)
    assert fixed.shape == moving.shape == (3, 2, 60, 80) and start.shape == (3, 2)
    for k in range(3):
        assert torch.equal(fixed[k, :, 0, 0].double(), start[k])
        x, y = 50, 20
        seen = matrices[k] @ torch.tensor([x, y, 1.0], dtype=torch.float64)
        expected = seen[:2] / seen[2] + start[k]
        assert moving[k, :, y, x].double() == pytest.approx(expected, abs=1e-2)


def test_the_moving_window_stays_inside_a_frame_with_room() -> None:
    size, ranges = (149, 198), MisalignmentRange()
    matrices = draw_matrices(range(40), size, ranges)
    rows, columns = torch.meshgrid(torch.arange(240.0), torch.arange(320.0), indexing="ij")
    edge = ((rows < 1) | (rows > 238) | (columns < 1) | (columns > 318)).float().expand(40, 1, 240, 320)
    _, moving, _ = cut_pair(edge, edge, matrices, size)
    assert (moving.amax((1, 2, 3)) > 0).float().mean() < 0.1


def test_a_window_larger_than_the_frame_is_refused() -> None:
    image = torch.zeros(1, 1, 40, 40)
    with pytest.raises(ValueError, match="that holds 41x40"):
        cut_pair(image, image, torch.eye(3)[None], (41, 40))

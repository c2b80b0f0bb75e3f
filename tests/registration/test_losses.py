from __future__ import annotations

import pytest
import torch

from ldfusion.registration.losses import dice, grid_points, mse, ncc, point_error, project, smoothness


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_mse_is_a_mean_for_each_sample() -> None:
    a = torch.zeros(2, 1, 4, 5)
    b = a.clone()
    b[1, 0, 0, 0] = 2.0
    assert mse(a, b).tolist() == pytest.approx([0.0, 4 / 20])


def test_ncc_of_a_linear_relation_is_minus_one() -> None:
    a = noise(2, 1, 30, 40)
    values = ncc(a, torch.stack([3 * a[0] + 1, 1 - a[1]]))
    # the border windows, filled with zeros, hold an edge that is not linear in the other image's
    assert (values < -0.97).all() and (values >= -1).all()
    assert ncc(a, noise(2, 1, 30, 40, seed=1)).max() > -0.1


def test_ncc_of_one_window_by_hand() -> None:
    a, b = noise(1, 1, 9, 9), noise(1, 1, 9, 9, seed=1)
    a, b = a - a.mean(), b - b.mean()
    full = (a * b).sum() ** 2 / (a.square().sum() * b.square().sum() + 1e-5)
    padded_a, padded_b = (torch.nn.functional.pad(x, (4, 4, 4, 4)) for x in (a, b))
    total = 0.0
    for y in range(9):
        for x in range(9):
            wa, wb = (p[..., y : y + 9, x : x + 9] for p in (padded_a, padded_b))
            wa, wb = wa - wa.mean(), wb - wb.mean()
            value = (wa * wb).sum() ** 2 / (wa.square().sum() * wb.square().sum() + 1e-5)
            total += value.item()
            if (y, x) == (4, 4):
                assert value == pytest.approx(full.item(), rel=1e-5)
    assert ncc(a, b).item() == pytest.approx(-total / 81, rel=1e-4)


def test_ncc_of_flat_images_is_zero_and_has_a_gradient() -> None:
    a = torch.full((1, 1, 20, 20), 0.5, requires_grad=True)
    value = ncc(a, torch.full((1, 1, 20, 20), 0.7))
    assert value.item() == 0
    value.sum().backward()
    assert a.grad is not None and a.grad.isfinite().all()


def test_dice() -> None:
    a = torch.zeros(3, 1, 10, 10)
    a[..., :4] = 1
    b = torch.zeros(3, 1, 10, 10)
    b[0, ..., :4], b[1, ..., 2:6], b[2, ..., 6:] = 1, 1, 1
    assert dice(a, b).tolist() == pytest.approx([-1, -0.5, 0])
    assert dice(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)).item() == 0


def test_smoothness_of_a_ramp() -> None:
    flow = torch.zeros(2, 2, 6, 8)
    flow[0, 0] = 3.0  # a constant displacement is free
    flow[1, 0] = 2.0 * torch.arange(8)  # x-displacement grows by 2 a column; y stays
    assert smoothness(flow).tolist() == pytest.approx([0, (4 / 2) / 2])
    assert smoothness(flow, "l1").tolist() == pytest.approx([0, (2 / 2) / 2])


def test_point_error_counts_only_what_is_seen() -> None:
    true = torch.zeros(1, 4, 2)
    predicted = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [0.0, 1.0], [8.0, 6.0]]])
    assert point_error(predicted, true).item() == pytest.approx((5 + 0 + 1 + 10) / 4)
    seen = torch.tensor([[1, 1, 1, 0]])
    assert point_error(predicted, true, seen).item() == pytest.approx(2)
    assert point_error(predicted, true, torch.zeros(1, 4)).item() == 0
    still = true.clone().requires_grad_()
    point_error(still, true, soft=0.1).sum().backward()
    assert still.grad is not None and torch.equal(still.grad, torch.zeros_like(true))


def test_grid_points_and_projection() -> None:
    points = grid_points((11, 21), 3)
    assert points.shape == (9, 2)
    assert points[[0, 2, 4, 8]].tolist() == [[0, 0], [20, 0], [10, 5], [20, 10]]
    matrix = torch.tensor([[[2.0, 0, 1], [0, 1, -3], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]])
    seen = project(matrix, points)
    assert seen[0, 8].tolist() == [41, 7]
    assert seen[1, 8].tolist() == pytest.approx([20 / 3, 10 / 3])

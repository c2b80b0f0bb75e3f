from __future__ import annotations

import math

import pytest
import torch

from depth.align import (
    align_least_squares,
    align_median,
    align_robust,
    depth_from_inverse,
    least_squares,
    masked_median,
    standardise,
)


def test_golden_least_squares_and_median(golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = golden
    scale, shift = least_squares(prediction, target)
    assert scale.item() == pytest.approx(1.914423, abs=1e-6)
    assert shift.item() == pytest.approx(-1.770862, abs=1e-6)
    ratio = align_median(prediction, target) / prediction
    assert ratio.mean().item() == pytest.approx(1.315637, abs=1e-6)


def test_each_image_is_fitted_alone_on_its_valid_pixels() -> None:
    torch.manual_seed(0)
    prediction = torch.rand(2, 1, 9, 11)
    target = prediction * torch.tensor([2.0, -3.0]).view(2, 1, 1, 1) + torch.tensor([1.0, 5.0]).view(2, 1, 1, 1)
    mask = torch.rand(2, 1, 9, 11) > 0.3
    spoiled = target.masked_fill(~mask, math.inf)
    scale, shift = least_squares(prediction, spoiled, mask)
    torch.testing.assert_close(scale, torch.tensor([2.0, -3.0]))
    torch.testing.assert_close(shift, torch.tensor([1.0, 5.0]))
    torch.testing.assert_close(align_least_squares(prediction, spoiled, mask), target)


def test_constant_prediction_gets_the_mean() -> None:
    target = torch.arange(12.0).view(1, 1, 3, 4)
    aligned = align_least_squares(torch.full_like(target, 0.3), target)
    torch.testing.assert_close(aligned, torch.full_like(target, 5.5))


def test_median_is_the_mean_of_the_two_middle_values() -> None:
    values = torch.tensor([[4.0, 1.0, 3.0, 2.0], [4.0, 1.0, 3.0, 2.0], [7.0, 7.0, 7.0, 7.0]])
    valid = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    assert masked_median(values, valid).tolist() == [2.5, 3.0, 0.0]


def test_inverse_depth_is_fitted_to_the_reciprocal() -> None:
    depth = torch.linspace(1, 40, 48).view(1, 1, 6, 8)
    inverse = 3 / depth + 0.7
    torch.testing.assert_close(depth_from_inverse(inverse, depth), depth, rtol=1e-4, atol=1e-4)
    holes = depth.clone()
    holes[..., 0] = 0
    torch.testing.assert_close(depth_from_inverse(inverse, holes), depth, rtol=1e-4, atol=1e-4)
    assert depth_from_inverse(-inverse, depth, floor=0.1).max() <= 10 * (1 + 1e-6)


def test_robust_alignment_takes_median_and_spread_of_the_target() -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(2, 1, 8, 8), 4 * torch.rand(2, 1, 8, 8) + 2
    torch.testing.assert_close(standardise(align_robust(prediction, target)), standardise(prediction))
    torch.testing.assert_close(standardise(5 * prediction + 1), standardise(prediction))
    assert align_robust(prediction, target).median() > 2
    assert (standardise(torch.full((1, 1, 4, 4), 3.0)) == 0).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="mask"):
        least_squares(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool))

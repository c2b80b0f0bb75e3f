from __future__ import annotations

import pytest
import torch

from depth import metrics
from depth.align import align_least_squares, align_median

GoldenPair = tuple[torch.Tensor, torch.Tensor]


def test_golden_values_without_alignment(golden: GoldenPair) -> None:
    prediction, target = golden
    values = metrics.depth_metrics(prediction, target)
    expected = {
        "abs_rel": 0.234595,
        "sq_rel": 0.252766,
        "rmse": 1.064015,
        "rmse_log": 0.280333,
        "log10": 0.117339,
        "silog": 7.569935,
        "delta1": 0.230469,
        "delta2": 1.0,
        "delta3": 1.0,
    }
    assert {name: values[name].item() for name in expected} == pytest.approx(expected, abs=1e-6)
    assert metrics.silog(prediction, target, variance_focus=0.5).item() == pytest.approx(0.205326, abs=1e-6)


def test_golden_values_after_alignment(golden: GoldenPair) -> None:
    prediction, target = golden
    fitted = metrics.depth_metrics(prediction, target, align="least_squares")
    expected = {"abs_rel": 0.031488, "sq_rel": 0.004905, "rmse": 0.134527, "rmse_log": 0.037253, "silog": 3.724566}
    assert {name: fitted[name].item() for name in expected} == pytest.approx(expected, abs=1e-6)
    assert metrics.abs_rel(align_least_squares(prediction, target), target).item() == pytest.approx(0.031488, abs=1e-6)

    scaled = metrics.depth_metrics(prediction, target, align="median")
    expected = {"abs_rel": 0.056837, "rmse": 0.293134, "delta1": 0.988281}
    assert {name: scaled[name].item() for name in expected} == pytest.approx(expected, abs=1e-6)
    assert metrics.rmse(align_median(prediction, target), target).item() == pytest.approx(0.293134, abs=1e-6)


def test_inverse_depth_is_perfect_up_to_scale_and_shift(golden: GoldenPair) -> None:
    _, target = golden
    values = metrics.depth_metrics(5 / target + 2, target, align="inverse")
    assert values["abs_rel"].item() == pytest.approx(0, abs=1e-6)
    assert values["delta1"].item() == 1
    assert values["spearman"].item() == pytest.approx(1)


def test_invalid_pixels_and_limits_do_not_count(golden: GoldenPair) -> None:
    prediction, target = golden
    spoiled = target.clone()
    spoiled[..., :5] = torch.nan
    spoiled[..., 5:8] = 1000
    values = metrics.depth_metrics(prediction, spoiled)
    inside = metrics.depth_metrics(prediction[..., 8:], target[..., 8:])
    for name, value in inside.items():
        torch.testing.assert_close(values[name], value)


def test_delta_is_strict() -> None:
    target = torch.tensor([1.0, 1.0, 1.0, 1.0]).view(1, 1, 2, 2)
    prediction = torch.tensor([1.25, 1.2, 0.8125, 0.5]).view(1, 1, 2, 2)
    assert metrics.delta(prediction, target).item() == 0.5


def test_spearman_with_ties_and_monotone_maps() -> None:
    assert metrics.average_ranks(torch.tensor([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
    torch.manual_seed(0)
    target = torch.rand(2, 1, 16, 16)
    prediction = torch.cat((target[:1].exp(), -(target[1:] ** 3)))
    torch.testing.assert_close(metrics.spearman(prediction, target), torch.tensor([1.0, -1.0]))
    # Hand-made: ranks 1 2.5 2.5 4 against 1 2 3 4: covariance 4.5, variances 4.5 and 5.
    value = metrics.spearman(torch.tensor([[1.0, 2.0, 2.0, 3.0]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert value.item() == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert metrics.spearman(torch.ones(1, 4), torch.rand(1, 4)).item() == 0
    mask = torch.tensor([[True, True, True, False]])
    assert metrics.spearman(torch.tensor([[1.0, 2, 3, 0]]), torch.tensor([[1.0, 2, 3, 4]]), mask).item() == 1


def test_unknown_alignment_is_named() -> None:
    with pytest.raises(ValueError, match="'mean'"):
        metrics.depth_metrics(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), align="mean")  # type: ignore[arg-type]

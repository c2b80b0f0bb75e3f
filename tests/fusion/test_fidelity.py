"""The differentiable metrics against those of the evaluation, and what the goals ask for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.fusion import fidelity


def images(batch: int = 2, side: int = 168) -> tuple[Tensor, Tensor, Tensor]:
    """Two textured sources and a fused image, 8-bit codes / 255, (B, 1, side, side)."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(batch, 2, side // 6, side // 6, generator=generator)
    smooth = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    noisy = (smooth + 0.04 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)
    first, second = (noisy * 255).round().div(255).split(1, dim=1)
    fused = ((0.3 * first + 0.7 * torch.maximum(first, second)) * 255).round() / 255
    return fused, first, second


def exact(name: str) -> Tensor:
    fused, first, second = images()
    values = [
        compute_metrics(*(255 * x[k : k + 1] for x in (fused, first, second)), (name,))[name].item() for k in range(2)
    ]
    return torch.tensor(values)


def test_each_metric_is_close_to_the_evaluation() -> None:
    fused, first, second = images()
    both = torch.cat([first, second], dim=1)
    bins = [fidelity.membership(x) for x in (fused, first, second)]
    found = {
        "EN": fidelity.bits(bins[0].mean(dim=1)) + 2,
        "SF": 255 * fidelity.spatial_frequency(fused),
        "SD": 255 * fidelity.deviation(fused),
        "VIF": fidelity.vif(fused, both).sum(dim=1),
        "Qabf": fidelity.qabf(fused, both),
        "SCD": fidelity.correlation(fused - second, first) + fidelity.correlation(fused - first, second),
    }
    for name, value in found.items():
        # the evaluation's Qabf counts the frame of zeros around its images as an edge
        tolerance = 0.04 if name == "Qabf" else 0.02
        assert torch.allclose(value, exact(name), rtol=tolerance), (name, value, exact(name))
    # fewer bins see less of what two images share
    shared = sum(fidelity.mutual_bits(bins[0], x) for x in bins[1:])
    assert torch.all(shared < exact("MI")) and torch.all(shared > 0.4 * exact("MI"))


def test_soft_artefacts_are_close_to_the_evaluation_where_there_are_some() -> None:
    _, first, second = images()
    fused = ((1.4 * torch.maximum(first, second) - 0.1).clamp(0, 1) * 255).round() / 255
    found = fidelity.nabf(fused, torch.cat([first, second], dim=1))
    exact = [
        compute_metrics(*(255 * x[k : k + 1] for x in (fused, first, second)), ("Nabf",))["Nabf"] for k in range(2)
    ]
    assert torch.allclose(found, torch.cat(exact).float(), rtol=0.1), (found, exact)


def test_a_copy_falls_short_of_the_floors_of_the_other_source_alone() -> None:
    _, first, second = images()
    goals = {"floor_vif": 0.1, "floor_mi": 0.05}
    copy, mixed = (fidelity.shortfalls(x, first, second, goals) for x in (first, (first + second) / 2))
    for name in goals:
        assert 0 <= mixed[name] < copy[name] <= 1, name
    blank = fidelity.shortfalls(torch.full_like(first, 0.5), first, second, goals)
    assert all(value > 1.8 for value in blank.values())  # short of both


@pytest.mark.parametrize("name", fidelity.GOALS)
def test_a_goal_within_reach_costs_nothing_and_one_beyond_does(name: str) -> None:
    fused, first, second = images()
    easy, hard = (50.0, 1e-3) if name == "Nabf" else (1e-3, 50.0)
    assert fidelity.shortfalls(fused, first, second, {name: easy})[name] == 0
    assert fidelity.shortfalls(fused, first, second, {name: hard})[name] > 0.5
    assert fidelity.shortfalls(fused, first, second, {name: 0.0}) == {}


@pytest.mark.parametrize("name", fidelity.GOALS)
def test_one_step_along_the_gradient_comes_nearer(name: str) -> None:
    _, first, second = images()
    # a mean has no edge that both sources lack
    fused = (1.3 * torch.maximum(first, second) if name == "Nabf" else (first + second) / 2).requires_grad_()
    goals = {name: 1e-3 if name == "Nabf" else 3.0}
    before = fidelity.shortfalls(fused, first, second, goals)[name]
    (slope,) = torch.autograd.grad(before, fused)
    assert slope.isfinite().all()
    moved = fused.detach() - 0.01 * slope / slope.abs().max()
    assert fidelity.shortfalls(moved, first, second, goals)[name] < before


def test_flat_and_equal_images_give_finite_values_and_slopes() -> None:
    flat = torch.full((1, 1, 64, 64), 0.5)
    fused = flat.clone().requires_grad_()
    found = fidelity.shortfalls(fused, flat, flat, dict.fromkeys(fidelity.GOALS, 1.0))
    total = torch.stack(list(found.values())).sum()
    (slope,) = torch.autograd.grad(total, fused)
    assert total.isfinite() and slope.isfinite().all()


def test_a_new_edge_counts_as_new_and_a_kept_one_does_not() -> None:
    _, first, second = images()
    both = torch.cat([first, second], dim=1)
    stripes = (0.3 * torch.sin(torch.arange(first.shape[-1]) * 1.2)).expand_as(first)
    kept, added = (fidelity.nabf(x, both) for x in (0.9 * first, torch.maximum(first, second) + stripes))
    assert torch.all(kept < 0.01) and torch.all(added > 0.1)


def test_samples_of_a_batch_do_not_meet() -> None:
    fused, first, second = images()
    goals = dict.fromkeys(fidelity.GOALS, 2.0)
    whole = fidelity.shortfalls(fused, first, second, goals)
    parts = [fidelity.shortfalls(*(x[k : k + 1] for x in (fused, first, second)), goals) for k in range(2)]
    for name, value in whole.items():
        assert value.item() == pytest.approx((parts[0][name] + parts[1][name]).item() / 2, abs=1e-5), name

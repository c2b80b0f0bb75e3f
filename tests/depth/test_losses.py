from __future__ import annotations

import math

import pytest
import torch

from depth.losses import gradient_matching, ordered_alignment, rank_loss, ssi_loss, ssi_mae_loss


def test_golden_values(golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = golden
    data = ssi_loss(prediction, target, alpha=0.0)
    total = ssi_loss(prediction, target)
    assert data.item() == pytest.approx(0.0090488, abs=2e-7)
    residual = ordered_alignment(prediction, target) - target
    assert gradient_matching(residual).item() == pytest.approx(0.3983825, abs=2e-6)
    assert total.item() == pytest.approx(0.2082400, abs=2e-6)
    assert ssi_mae_loss(prediction, target).item() == pytest.approx(0.1740401, abs=2e-7)


@pytest.mark.parametrize("loss", [ssi_loss, ssi_mae_loss])
def test_ignores_scale_and_shift_and_reduces_per_image(loss, golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = golden
    batch = torch.cat((prediction, 7 * prediction + 3, target))
    values = loss(batch, target.expand(3, -1, -1, -1))
    assert values.shape == (3,)
    assert values[1].item() == pytest.approx(values[0].item(), rel=1e-4)
    assert values[2].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [ssi_loss, ssi_mae_loss])
def test_invalid_pixels_do_not_count(loss, golden: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = golden
    mask = torch.ones_like(target, dtype=torch.bool)
    mask[..., 20:] = False
    spoiled = target.masked_fill(~mask, math.nan)
    inside = loss(prediction[..., :20], target[..., :20])
    torch.testing.assert_close(loss(prediction, spoiled, mask), inside)
    gradient = prediction.clone().requires_grad_()
    loss(gradient, spoiled, mask).sum().backward()
    assert gradient.grad is not None and gradient.grad.isfinite().all()
    assert (gradient.grad[..., 20:] == 0).all()
    assert loss(prediction, spoiled, torch.zeros_like(mask)).item() == 0


@pytest.mark.parametrize("loss", [ssi_loss, ssi_mae_loss])
@pytest.mark.parametrize("flat", ["prediction", "target", "both"])
def test_constant_maps_stay_finite(loss, flat: str) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.rand(2, 1, 32, 32, generator=generator)
    target = torch.rand(2, 1, 32, 32, generator=generator)
    if flat in ("prediction", "both"):
        prediction = torch.ones_like(prediction)
    if flat in ("target", "both"):
        target = torch.full_like(target, 5)
    prediction.requires_grad_()
    value = loss(prediction, target)
    value.sum().backward()
    assert value.isfinite().all()
    assert prediction.grad is not None and prediction.grad.isfinite().all()


def test_reversed_order_is_punished_and_descends_to_the_right_order() -> None:
    target = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    unrelated = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert ssi_loss(-target, target, alpha=0.0).item() > 1.1 * ssi_loss(unrelated, target, alpha=0.0).item()
    prediction = (0.1 * unrelated - target).requires_grad_()
    optimizer = torch.optim.Adam([prediction], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        ssi_loss(prediction, target, alpha=0.0).sum().backward()
        optimizer.step()
    correlation = torch.corrcoef(torch.stack((prediction.detach().flatten(), target.flatten())))[0, 1]
    assert correlation > 0.99


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssi_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))


def test_rank_loss_is_about_order() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 1, 64, 64, generator=generator) ** 3
    assert rank_loss(2 * target + 1, target).max() < 1e-4
    unknowing = rank_loss(torch.rand(2, 1, 64, 64, generator=generator), target)
    assert unknowing.min() > 0.2
    assert rank_loss(target.sqrt(), target).max() < 0.5 * unknowing.min()
    noisy = (target + 0.1 * torch.randn(target.shape, generator=generator)).requires_grad_()
    rank_loss(noisy, target).sum().backward()
    assert noisy.grad is not None and noisy.grad.isfinite().all() and noisy.grad.abs().max() > 0
    flat = torch.zeros(1, 1, 8, 8, requires_grad=True)
    rank_loss(flat, torch.zeros(1, 1, 8, 8)).sum().backward()
    assert flat.grad is not None and flat.grad.isfinite().all()

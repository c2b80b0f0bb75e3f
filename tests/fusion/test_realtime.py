from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.fusion.realtime import (
    BASIS,
    CELL,
    COEFFICIENTS,
    GAINS,
    START,
    RealtimeNetwork,
    base_picture,
    compose,
    factors,
    guides_of,
    halve,
)
from ldfusion.io.color import luma

SMALL = {"working": (32, 48), "widths": (4, 6, 8), "hidden": 5, "token": 7, "text_dim": 9}


def network() -> RealtimeNetwork:
    torch.manual_seed(0)
    return RealtimeNetwork(**SMALL).eval()


def pair(height: int = 45, width: int = 62, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


def test_every_parameter_gets_a_gradient() -> None:
    net = network()
    fused, cells, coefficients, guides = net(*pair(), torch.randn(2, 9), torch.ones(1, 2))
    assert fused.shape == (2, 3, 45, 62)
    assert cells.shape == (2, 5, 32 // CELL, 48 // CELL)
    assert coefficients.shape == (2, COEFFICIENTS, 23, 31) and guides.shape == (2, 4, 23, 31)
    fused.square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_it_starts_near_the_starting_coefficients() -> None:
    start = torch.tensor([START.get(name, 0.0) for name in (*BASIS, *GAINS)])
    with torch.no_grad():
        coefficients = network()(*pair())[2]
    assert (coefficients - start[:, None, None]).abs().max() < 0.3


def test_sentence_and_tone_move_it_and_none_of_both_costs_nothing() -> None:
    net, (visible, infrared) = network(), pair()
    text = torch.randn(2, 9)
    with torch.no_grad():
        plain = net(visible, infrared)[0]
        assert torch.equal(plain, net(visible, infrared, None, torch.zeros(1, 2))[0])
        assert (plain - net(visible, infrared, text)[0]).abs().max() > 1e-6
        for control in range(2):
            assert (plain - net(visible, infrared, None, torch.eye(2)[control : control + 1])[0]).abs().max() > 1e-6


@pytest.mark.parametrize("size", [(6, 8), (7, 9), (33, 32)])
def test_halving_is_a_mean_that_repeats_the_last_row_and_column(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size)
    pooled = F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)  # what the export takes in its place
    torch.testing.assert_close(halve(image), pooled, atol=1e-6, rtol=0)


def test_gains_of_one_and_no_constant_give_a_source_back() -> None:
    visible, infrared = pair(31, 40, 1)
    whole = torch.zeros(1, 4, 16, 20)
    whole[:, 1] = whole[:, 3] = 1
    torch.testing.assert_close(compose(whole, visible, infrared), visible, atol=1e-6, rtol=0)
    grey = torch.zeros(1, 4, 16, 20)
    grey[:, 2] = 1
    torch.testing.assert_close(compose(grey, visible, infrared), infrared.expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


def test_what_halving_takes_away_is_added_with_its_gain() -> None:
    """The base is that of the coefficients; twice the luma's fine detail lies on it."""
    visible, infrared = pair(32, 40, 1)
    guides = guides_of(halve(visible), halve(infrared))
    coefficients = torch.zeros(1, COEFFICIENTS, 16, 20)
    coefficients[:, BASIS.index("Y")] = 0.5
    coefficients[:, len(BASIS) + GAINS.index("Y fine")] = 2.0
    fused = compose(factors(coefficients, guides), visible, infrared)

    def large(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    base = large(base_picture(coefficients, guides))
    wanted = base + 2 * (luma(visible) - large(guides[:, :1]))
    torch.testing.assert_close(fused, wanted.expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    inside = guides[:, :1].clamp(0.04, 0.96)  # the base bends in the last levels at both ends alone
    torch.testing.assert_close(
        base_picture(coefficients, inside.expand(-1, 4, -1, -1)), 0.5 * inside, atol=1e-6, rtol=0
    )


def test_a_flat_pair_gives_a_flat_picture() -> None:
    with torch.no_grad():
        fused = network()(torch.full((1, 3, 40, 40), 0.3), torch.full((1, 1, 40, 40), 0.6))[0]
    assert fused[..., 8:-8, 8:-8].std() < 0.02  # convolutions see the border, coefficients are smooth


def test_a_working_size_that_the_trunk_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match=r"working=\[40, 48\]"):
        RealtimeNetwork(working=(40, 48))

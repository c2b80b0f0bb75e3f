"""What the score is made of."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ldfusion.registration.correspond import Described
from ldfusion.registration.score import RIGHT, TRUSTED, agreement, consistency, positions, quality


def described(seed: int, valid: torch.Tensor | None = None) -> Described:
    field = torch.randn(32, 36, 40, generator=torch.Generator().manual_seed(seed))
    seen = torch.ones(36, 40, dtype=torch.bool) if valid is None else valid
    return Described(F.normalize(field, dim=0), torch.full((36, 40), 20.0), seen)


def test_equal_images_agree_and_strangers_do_not() -> None:
    assert agreement(described(0), described(0)) == pytest.approx(1)
    assert agreement(described(0), described(1)) < 0.1


def test_a_small_overlap_counts_for_less() -> None:
    left = torch.zeros(36, 40, dtype=torch.bool)
    left[:, :20] = True
    assert agreement(described(0), described(0, left)) == pytest.approx(0.5**0.5)
    assert agreement(described(0), described(0, torch.zeros_like(left))) == 0


def test_the_score_rises_with_agreement() -> None:
    values = [quality(support / 20) for support in range(21)]
    assert values == sorted(values)
    assert values[0] < 0.01 and values[20] > 0.99
    assert quality(0.15) < TRUSTED < quality(0.3)


def test_two_ways_that_lie_apart_are_believed_less() -> None:
    values = [consistency(RIGHT * k / 4) for k in range(17)]
    assert values[0] == 1 and values == sorted(values, reverse=True)
    assert values[4] > 0.9 and values[8] == pytest.approx(0.5) and values[16] < 0.07


def test_few_positions_have_to_agree_better() -> None:
    assert positions(described(0)) == 18 * 20
    assert quality(0.3, 10_000) == quality(0.3) > 0.8  # more than usual count as usual
    assert quality(0.28, 656) < TRUSTED < quality(0.39, 656)
    values = [quality(0.3, asked) for asked in (3072, 1500, 800, 400, 100)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.01

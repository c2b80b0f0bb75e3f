"""What the score is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ldfusion.registration.correspond import Described
from ldfusion.registration.score import Evidence, agreement, quality


def described(seed: int, valid: torch.Tensor | None = None) -> Described:
    field = torch.randn(32, 36, 40, generator=torch.Generator().manual_seed(seed))
    seen = torch.ones(36, 40, dtype=torch.bool) if valid is None else valid
    return Described(F.normalize(field, dim=0), torch.full((36, 40), 20.0), seen)


def test_equal_images_agree_and_strangers_do_not() -> None:
    here, spread, overlap = agreement(described(0), described(0))
    assert (here, spread, overlap) == (1, 1, 1)
    here, spread, overlap = agreement(described(0), described(1))
    assert here < 0.1 and spread <= here and overlap == 1


def test_only_what_both_show_counts() -> None:
    left = torch.zeros(36, 40, dtype=torch.bool)
    left[:, :20] = True
    assert agreement(described(0), described(0, left)) == (1, 1, pytest.approx(0.5))
    assert agreement(described(0), described(0, torch.zeros_like(left))) == (0, 0, 0)


def test_the_score_rises_with_agreement_and_falls_with_uncertainty() -> None:
    good = Evidence(here=0.7, spread=0.5, overlap=1.0, sigma=0.006)
    assert quality(good) > 0.8
    assert quality(replace(good, here=0.3)) < quality(good)
    assert quality(replace(good, sigma=0.02)) < 0.1
    assert quality(replace(good, here=0.05)) < 0.3
    assert quality(replace(good, here=0.0)) == 0
    assert 0 <= quality(Evidence(0.0, 0.0, 0.0, 1e9)) <= quality(Evidence(1.0, 1.0, 1.0, 0.0)) <= 1

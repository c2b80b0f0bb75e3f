from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ldfusion.fusion.decoder import HISTOGRAM
from ldfusion.fusion.grid import AXES
from ldfusion.fusion.steady import GRID_SECONDS, TOKEN_SECONDS, SteadyCoefficients


def known(mean: float, peak: int = 3) -> Tensor:
    """Token of two mean features and histograms with one full bin each."""
    histograms = torch.zeros(2, HISTOGRAM)
    histograms[:, peak] = HISTOGRAM
    return torch.cat([torch.tensor([mean, -mean]), histograms.flatten()])[None]


def grid(value: float) -> Tensor:
    return torch.full((1, AXES, 3, 2, 4, 4), value)


def test_the_first_frame_is_taken_as_it_is_and_later_ones_are_followed() -> None:
    steady = SteadyCoefficients()
    stack = torch.zeros(1, 4, 32, 32)
    steady.at(5.0)
    assert torch.equal(steady.token(known(1.0)), known(1.0))
    assert torch.equal(steady.grid(grid(1.0), stack), grid(1.0))
    steady.at(5.1)
    share = 1 - math.exp(-0.1 / TOKEN_SECONDS)
    assert steady.token(known(2.0))[0, 0] == pytest.approx(1 + share)
    share = 1 - math.exp(-0.1 / GRID_SECONDS)
    assert torch.allclose(steady.grid(grid(2.0), stack), grid(1 + share))


def test_it_arrives_where_the_frames_are() -> None:
    steady = SteadyCoefficients()
    stack = torch.zeros(1, 4, 32, 32)
    for k in range(60):
        steady.at(k / 10)
        token = steady.token(known(float(k > 0)))
        found = steady.grid(grid(float(k > 0)), stack)
    assert token[0, 0] > 0.97 and found.min() > 0.99


def test_a_cell_whose_picture_changes_is_taken_over_at_once() -> None:
    steady = SteadyCoefficients()
    before, after = torch.zeros(1, 4, 32, 32), torch.zeros(1, 4, 32, 32)
    after[..., :8, :8] = 0.5  # one cell of 4 x 4
    for k, stack in enumerate((before, after)):
        steady.at(k * 0.01)
        steady.token(known(0.0))
        found = steady.grid(grid(float(k)), stack)
    assert torch.allclose(found[..., :2, :2], torch.ones(1))  # with its neighbours
    assert found[..., 3, 3].max() < 0.05


def test_a_slow_change_is_not_lost() -> None:
    """A fade that never changes a cell by much from one frame to the next still moves its coefficients."""
    steady = SteadyCoefficients()
    for k in range(100):
        steady.at(k * 0.02)
        steady.token(known(0.0))
        found = steady.grid(grid(k / 99), torch.full((1, 4, 32, 32), k / 99))
    assert found.min() > 0.9


def test_a_cut_starts_anew() -> None:
    steady = SteadyCoefficients()
    stack = torch.zeros(1, 4, 32, 32)
    for k, peak in enumerate((3, 20)):
        steady.at(k * 0.04)
        token = steady.token(known(float(k), peak))
        found = steady.grid(grid(float(k)), stack)
    assert torch.equal(token, known(1.0, 20)) and torch.equal(found, grid(1.0))


def test_another_size_starts_anew() -> None:
    steady = SteadyCoefficients()
    steady.at(0.0)
    steady.token(known(0.0))
    steady.grid(grid(0.0), torch.zeros(1, 4, 32, 32))
    steady.at(0.1)
    steady.token(known(0.0))
    other = torch.ones(1, AXES, 3, 2, 5, 6)
    assert torch.equal(steady.grid(other, torch.zeros(1, 4, 40, 48)), other)

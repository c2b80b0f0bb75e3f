from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ldfusion.fusion.decoder import HISTOGRAM
from ldfusion.fusion.grid import AXES
from ldfusion.fusion.steady import GRID_SECONDS, PIXEL_SECONDS, TOKEN_SECONDS, SteadyFrames


def known(mean: float, peak: int = 3) -> Tensor:
    """Token of two mean features and histograms with one full bin each."""
    histograms = torch.zeros(2, HISTOGRAM)
    histograms[:, peak] = HISTOGRAM
    return torch.cat([torch.tensor([mean, -mean]), histograms.flatten()])[None]


def grid(value: float) -> Tensor:
    return torch.full((1, AXES, 3, 2, 4, 4), value)


def test_the_first_frame_is_taken_as_it_is_and_later_ones_are_followed() -> None:
    steady = SteadyFrames()
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
    steady = SteadyFrames()
    stack = torch.zeros(1, 4, 32, 32)
    for k in range(60):
        steady.at(k / 10)
        token = steady.token(known(float(k > 0)))
        found = steady.grid(grid(float(k > 0)), stack)
    assert token[0, 0] > 0.97 and found.min() > 0.99


def test_a_cell_whose_picture_changes_is_taken_over_at_once() -> None:
    steady = SteadyFrames()
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
    steady = SteadyFrames()
    for k in range(100):
        steady.at(k * 0.02)
        steady.token(known(0.0))
        found = steady.grid(grid(k / 99), torch.full((1, 4, 32, 32), k / 99))
    assert found.min() > 0.9


def test_a_cut_starts_anew() -> None:
    steady = SteadyFrames()
    stack = torch.zeros(1, 4, 32, 32)
    for k, peak in enumerate((3, 20)):
        steady.at(k * 0.04)
        token = steady.token(known(float(k), peak))
        found = steady.grid(grid(float(k)), stack)
    assert torch.equal(token, known(1.0, 20)) and torch.equal(found, grid(1.0))


def test_another_size_starts_anew() -> None:
    steady = SteadyFrames()
    steady.at(0.0)
    steady.token(known(0.0))
    steady.grid(grid(0.0), torch.zeros(1, 4, 32, 32))
    steady.at(0.1)
    steady.token(known(0.0))
    other = torch.ones(1, AXES, 3, 2, 5, 6)
    assert torch.equal(steady.grid(other, torch.zeros(1, 4, 40, 48)), other)


def show(steady: SteadyFrames, time: float, fused: Tensor, sources: Tensor) -> Tensor:
    """One frame whose two sources are grey images (1, 1, H, W)."""
    steady.at(time)
    steady.token(known(0.0))
    return steady.picture(fused, sources.expand(-1, 3, -1, -1), sources)


def test_noise_is_calmed_where_nothing_changes() -> None:
    generator = torch.Generator().manual_seed(0)
    steady, frames = SteadyFrames(), []
    raw = [0.5 + 0.01 * torch.randn(1, 3, 40, 40, generator=generator) for _ in range(12)]
    for k, fused in enumerate(raw):
        frames.append(show(steady, k / 30, fused, torch.full((1, 1, 40, 40), 0.4)))
    changes = [torch.stack(each).diff(dim=0).abs().mean() for each in (frames, raw)]
    assert changes[0] < 0.5 * changes[1]
    share = 1 - math.exp(-1 / 30 / PIXEL_SECONDS)
    assert torch.allclose(frames[1], torch.lerp(raw[0], raw[1], share), atol=1e-6)


def test_what_moves_leaves_no_trail() -> None:
    steady, sources = SteadyFrames(), []
    for k in range(4):
        source = torch.full((1, 1, 48, 64), 0.2)
        source[..., 16:32, 8 + 8 * k : 24 + 8 * k] = 0.8
        sources.append(source)
        found = show(steady, k / 30, source.expand(-1, 3, -1, -1), source)
    assert torch.allclose(found, sources[-1].expand(-1, 3, -1, -1), atol=1e-6)


def test_a_picture_of_another_size_starts_anew() -> None:
    steady = SteadyFrames()
    show(steady, 0.0, torch.zeros(1, 3, 40, 40), torch.zeros(1, 1, 40, 40))
    other = torch.ones(1, 3, 48, 40)
    assert torch.equal(show(steady, 0.1, other, torch.zeros(1, 1, 48, 40)), other)

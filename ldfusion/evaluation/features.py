"""Feature mutual information (FMI) of Haghighat, Aghagolzadeh and Seyedarabi (2011), on the grey values themselves."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma, undefined

SIDE = 3
WINDOWS_AT_ONCE = 16384
"""Joint distributions of 9 x 9 values held in memory together."""


class Distributions(NamedTuple):
    """What FMI makes of the windows of an image, float64."""

    density: Tensor
    """(N, 9), sum 1"""
    cumulative: Tensor
    """(N, 9)"""
    spread: Tensor
    """(N,) standard deviation of the position 1..9"""
    entropy: Tensor
    """(N,) bit"""

    def part(self, rows: slice) -> Distributions:
        """Some of the windows."""
        return Distributions(*(value[rows] for value in self))


def fmi(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """FMI = mean over both sources and all 3 x 3 windows of 2 I(source; F) / (H(source) + H(F)), up to 1.

    The grey values of a window, stretched to 0..1 and divided by their sum, count as a distribution over its nine
    positions. The joint distribution of two windows is the mixture of independence and the upper (for a negative
    correlation: lower) Frechet bound that has the windows' own Pearson correlation (Nelsen, 1987). Takes (B, 1, H, W)
    luma, the sources (1, 1, H, W) where all images share them; returns (B,) float64, NaN below 3 x 3 pixels. Slower
    than all other metrics together.
    """
    check_luma(fused, visible, infrared)
    if min(fused.shape[-2:]) < SIDE:
        return undefined(fused)
    known = [[_distributions(image) for image in source] for source in (visible, infrared)]
    values = []
    for number, image in enumerate(fused):
        own = _distributions(image)
        parts = [_mean_of_shared(own, source[number if len(source) > 1 else 0]) for source in known]
        values.append(torch.stack(parts).mean())
    return torch.stack(values)


def _distributions(image: Tensor) -> Distributions:
    """All windows of one image (1, H, W), read column by column."""
    windows = functional.unfold(image[None].double().transpose(-1, -2), SIDE)[0].T  # (N, 9)
    low, high = windows.amin(1, keepdim=True), windows.amax(1, keepdim=True)
    density = torch.where(high == low, 1.0, (windows - low) / (high - low))
    density = density / density.sum(1, keepdim=True)
    place = torch.arange(1, SIDE**2 + 1, dtype=density.dtype, device=density.device)
    mean = (density * place).sum(1)
    spread = ((density * place.square()).sum(1) - mean.square()).abs().sqrt()
    return Distributions(density, density.cumsum(1), spread, _bits(density).sum(1))


def _mean_of_shared(first: Distributions, second: Distributions) -> Tensor:
    total = torch.zeros((), dtype=torch.float64, device=first.density.device)
    count = len(first.density)
    for start in range(0, count, WINDOWS_AT_ONCE):
        rows = slice(start, start + WINDOWS_AT_ONCE)
        total += _shared(first.part(rows), second.part(rows)).sum()
    return total / count


def _shared(first: Distributions, second: Distributions) -> Tensor:
    """2 I / (H + H) of each pair of windows, (N,)."""
    a, b = first.density - 1 / SIDE**2, second.density - 1 / SIDE**2  # nine values of sum 1: their mean is 1/9
    norm = (a.square().sum(1) * b.square().sum(1)).sqrt()
    correlation = torch.where(norm > 0, (a * b).sum(1) / norm, 0.0)
    rising = (correlation >= 0)[:, None, None]
    x, y = first.cumulative[:, :, None], second.cumulative[:, None, :]
    bound = torch.where(rising, torch.minimum(x, y), (x + y - 1).clamp_min(0))
    # Hoeffding: the covariance of the bound is the sum of its cumulative excess over independence
    covariance = (bound - x * y).sum((1, 2))
    wanted = correlation * first.spread * second.spread
    share = torch.where((wanted != 0) & (covariance != 0), wanted / covariance, 0.0)[:, None, None]
    steps = functional.pad(bound, (1, 0, 1, 0)).diff(dim=1).diff(dim=2)
    joint = share * steps + (1 - share) * first.density[:, :, None] * second.density[:, None, :]
    entropies = first.entropy + second.entropy
    mutual = entropies - _bits(joint).sum((1, 2))
    # equal windows share everything, two flat ones too, whose correlation is undefined
    same = (first.density == second.density).all(1) | (entropies == 0)
    return torch.where(same, 1.0, 2 * mutual / entropies)


def _bits(density: Tensor) -> Tensor:
    """-p log2 p; of a negative p, which the mixture can leave, the value of |p|, as the authors' program has it."""
    size = density.abs()
    return -torch.special.xlogy(size, size) / math.log(2)

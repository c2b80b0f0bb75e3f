"""Coefficients that are steady in time: what the frames of a video share is followed slowly, what changes at once.

A grid of coefficients is predicted for every frame by itself; small differences between two of them would flicker. Here
the token of the whole picture and each cell of the grid follow exponentially, a cell the faster the more the picture
below it has changed, so that nothing trails behind a moving object. A cut starts anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.fusion.decoder import HISTOGRAM

CUT = 0.45
"""Half the L1 distance of two frames' histograms (1 for disjoint ones) above which a new scene begins."""
MOVED = 0.06
"""Change of a cell's mean grey value, of 1, above which its coefficients are taken over at once."""
TOKEN_SECONDS, GRID_SECONDS = 1.5, 0.6
"""Time constants."""


@dataclass
class _State:
    time: float
    histograms: Tensor
    token: Tensor
    grid: Tensor | None = None
    cells: Tensor | None = None


class SteadyCoefficients:
    """Follows the frames of one video; hand its methods to `Fuser.fuse` as ``steady`` and ``settle``.

    Call `at` with the time of every frame first; frames come in order of time.
    """

    def __init__(self) -> None:
        self._state: _State | None = None
        self._passed = 0.0
        self._time = 0.0

    def at(self, time: float) -> None:
        """The next frame is shown at ``time`` seconds."""
        self._time = time

    def token(self, known: Tensor) -> Tensor:
        """What is known of the whole picture (B, D), the histograms last, as it is taken to be now."""
        histograms, state = known[:, -2 * HISTOGRAM :], self._state
        if state is None or state.token.shape != known.shape or _distance(histograms, state.histograms) > CUT:
            self._passed, self._state = math.inf, _State(self._time, histograms, known)
            return known
        self._passed = max(0.0, self._time - state.time)
        share = 1 - math.exp(-self._passed / TOKEN_SECONDS)
        state.time, state.histograms, state.token = self._time, histograms, torch.lerp(state.token, known, share)
        return state.token

    def grid(self, grid: Tensor, stack: Tensor) -> Tensor:
        """The grid (B, AXES, K, R, h, w) of a frame as it is taken to be now; call after `token`.

        Args:
            stack: the frame's working copy (B, 4, H, W) in [-1, 1].
        """
        state = self._state
        assert state is not None, "token comes first"
        cells = F.adaptive_avg_pool2d(stack / 2, (int(grid.shape[-2]), int(grid.shape[-1])))
        if state.grid is not None and state.cells is not None and state.grid.shape == grid.shape:
            share = 1 - math.exp(-self._passed / GRID_SECONDS)
            moved = ((cells - state.cells).abs().amax(dim=1, keepdim=True) / MOVED).clamp(0, 1)
            moved = F.max_pool2d(moved, 3, 1, 1)  # a cell is interpolated with its neighbours
            grid = torch.lerp(state.grid, grid, (share + (1 - share) * moved)[:, :, None, None])
            # what a slow change adds up to must not be lost: the reference follows as the coefficients do
            cells = torch.lerp(state.cells, cells, share + (1 - share) * moved)
        state.grid, state.cells = grid, cells
        return grid


def _distance(first: Tensor, second: Tensor) -> float:
    """Half the L1 distance of pairs of histograms (B, 2 * HISTOGRAM) of mean 1, the larger of the two sensors'."""
    apart = (first - second).abs().unflatten(1, (2, HISTOGRAM)).mean(dim=2) / 2
    return float(apart.max())

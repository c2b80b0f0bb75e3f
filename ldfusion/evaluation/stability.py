"""Flicker: how much more a fused video changes from frame to frame than its sources where nothing happens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ldfusion.io.color import luma
from ldfusion.io.filters import box_mean

STILL = 2.0
"""Grey levels of 255: a pixel is static where the mean change around it stays below this in both sources."""
_RADIUS = 2  # of that mean over 5 x 5 pixels, which noise does not disturb
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Stability:
    """Mean absolute changes between neighbouring frames on static areas, in grey levels of 255.

    Attributes:
        fused: of the luma of the fused video.
        sources: mean of those of both sources.
        static: share of pixels that are static, mean over the clip.
        frames: how many frames were compared with the one before.
    """

    fused: float
    sources: float
    static: float
    frames: int

    @property
    def flicker(self) -> float:
        """What the fusion adds: `fused` minus `sources`; below 0 it calms its sources. NaN without static areas."""
        return self.fused - self.sources


class StabilityMeter:
    """Measures frame by frame; holds one frame."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._fused = self._sources = self._static = 0.0
        self._compared = self._frames = 0

    @torch.no_grad()
    def add(self, visible: Tensor, infrared: Tensor, fused: Tensor) -> None:
        """Add the next frame.

        Args:
            visible, fused: (1, 3, H, W) in [0, 1].
            infrared: (1, 1, H, W) in [0, 1], registered.
        """
        frame = 255 * torch.cat([luma(visible), infrared, luma(fused)], dim=1)
        last, self._last = self._last, frame
        if last is None:
            return
        change = frame - last
        # signed: noise around a pixel cancels, what moves or dims does not
        still = box_mean(change[:, :2], _RADIUS).abs().amax(1, keepdim=True) < STILL
        share = float(still.float().mean())
        self._frames += 1
        self._static += share
        if share >= _LEAST_SHARE:
            means = (change.abs() * still).sum((0, 2, 3)) / still.sum()
            self._sources += float(means[:2].mean())
            self._fused += float(means[2])
            self._compared += 1

    def result(self) -> Stability:
        """What was measured so far; NaN where no frame had a hundredth of its pixels static."""
        nan = float("nan")
        count = self._compared
        return Stability(
            self._fused / count if count else nan,
            self._sources / count if count else nan,
            self._static / self._frames if self._frames else nan,
            self._frames,
        )

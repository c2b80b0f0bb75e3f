"""Twin depth: one monocular estimator for each modality of a registered pair."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from depth.align import align_robust
from depth.estimator import DepthEstimator, enlarge, load_estimator

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class TwinDepth(nn.Module):
    """A visible and an infrared depth estimator, and what both together say of a fused image.

    Args:
        visible_estimator: reads RGB.
        infrared_estimator: reads one channel (a three-channel estimator gets it repeated).

    Attributes:
        metric: both estimators predict metres, so that every map is 1 / metres; otherwise maps are relative.
    """

    def __init__(self, visible_estimator: DepthEstimator, infrared_estimator: DepthEstimator) -> None:
        super().__init__()
        self.visible_estimator = visible_estimator
        self.infrared_estimator = infrared_estimator

    @classmethod
    def from_pretrained(cls, visible: str | Path, infrared: str | Path, local_files_only: bool = False) -> TwinDepth:
        """Both estimators, frozen, by ``depth.estimator.load_estimator``: folders or hub ids."""
        first, second = (load_estimator(source, local_files_only=local_files_only) for source in (visible, infrared))
        return cls(first, second)

    @property
    def metric(self) -> bool:
        """See the class."""
        return self.visible_estimator.metric and self.infrared_estimator.metric

    def visible(self, images: Tensor, full: bool = True) -> Tensor:
        """Inverse depth of visible images: ``(B, 3, H, W)`` in [0, 1] to ``(B, 1, H, W)`` >= 0.

        Here and below ``full=False`` leaves the map at the network's working size ``(B, 1, h, w)``; `enlarge` makes the
        same full map of it. At 24 megapixels a full one takes a tenth of a gigabyte.
        """
        inverse: Tensor = self.visible_estimator(images, full)
        return inverse

    def infrared(self, images: Tensor, full: bool = True) -> Tensor:
        """Inverse depth of infrared images: ``(B, 1, H, W)`` in [0, 1] to ``(B, 1, H, W)`` >= 0."""
        inverse: Tensor = self.infrared_estimator(images.expand(-1, self.infrared_estimator.channels, -1, -1), full)
        return inverse

    def fused(self, images: Tensor, full: bool = True) -> Tensor:
        """Inverse depth of fused images, which carry both modalities; gradients flow to the images.

        The visible estimator reads the colours, the infrared one the luma. The infrared estimator's map is brought to
        the median and mean absolute deviation of the visible one's (two metric maps stay as they are), and the two are
        averaged: the result keeps the visible estimator's scale, and what only one of them sees stays in it at half
        strength.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1].
            full: see `visible`; the working size is the visible estimator's.

        Returns:
            ``(B, 1, H, W)`` >= 0.
        """
        weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        height, width = images.shape[-2:]
        # merged at the working size: at 24 megapixels every full-size intermediate would take a tenth of a gigabyte
        first: Tensor = self.visible_estimator.predict(self.visible_estimator.shrink(images))
        grey = (self.infrared_estimator.shrink(images) * weights).sum(1, keepdim=True)
        second: Tensor = self.infrared_estimator.predict(grey.expand(-1, self.infrared_estimator.channels, -1, -1))
        second = enlarge(second, first.shape[-2], first.shape[-1])
        if not self.metric:
            second = align_robust(second, first).clamp_min(0)
        merged = (first + second) / 2
        return enlarge(merged, height, width) if full else merged

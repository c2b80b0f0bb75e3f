"""`Fuser`: feature extractor and decoder together, on registered pairs of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ldfusion.diffusion.features import FeatureExtractor
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.io.color import to_stack
from ldfusion.io.size import fuse_tiled

WHOLE = 640
"""Longest side in pixels of an image that is fused as a whole; a larger one is fused tile by tile."""
TILE = 448
"""Side of a tile in pixels."""
OVERLAP = 96
"""Pixels that neighbouring tiles share; wider than what the networks see around a pixel."""


class Fuser(nn.Module):
    """The fusion network: [R, G, B, IR] and a sentence feature in, one colour image out.

    Args:
        extractor: features of the noise-prediction network.
        decoder: the decoder.
        train_extractor: False keeps the extractor frozen (its features are computed without a graph).
    """

    def __init__(self, extractor: FeatureExtractor, decoder: FusionDecoder, train_extractor: bool = False) -> None:
        super().__init__()
        self.extractor, self.decoder, self.train_extractor = extractor, decoder, train_extractor
        self.extractor.requires_grad_(train_extractor)
        # the features are taken before these two: they would never see a gradient, which data parallel training refuses
        extractor.denoiser.conv_norm_out.requires_grad_(False)
        extractor.denoiser.conv_out.requires_grad_(False)

    def train(self, mode: bool = True) -> Fuser:
        """Set the mode; a frozen extractor stays in evaluation mode."""
        super().train(mode)
        self.extractor.train(mode and self.train_extractor)
        return self

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor | None,
        noise: Tensor | None,
        timesteps: Sequence[int] | None = None,
    ) -> Tensor:
        """Fuse pairs whose sides are divisible by the extractor's multiple.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            text: sentence features (B, D), None for a decoder without language.
            noise: (B, 4, H, W) standard normal, None for an extractor without timesteps.
            timesteps: other noise levels than the extractor's.

        Returns:
            (B, 3, H, W), see `FusionDecoder`.
        """
        stack = to_stack(visible, infrared)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.train_extractor):
            features = self.extractor(stack, noise, timesteps)
        fused: Tensor = self.decoder(features, stack, text)
        return fused

    @torch.no_grad()
    def fuse(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor | None,
        noise: Tensor | None,
        timesteps: Sequence[int] | None = None,
        tile: int = TILE,
        whole: int = WHOLE,
    ) -> Tensor:
        """`forward` for any size: padded to the networks' multiple, tiled with feathered overlap above ``whole``.

        Returns:
            (B, 3, H, W) in [0, 1], the size of the input. Memory beyond input and output is that of one tile.
        """

        def run(visible: Tensor, infrared: Tensor, *noise: Tensor) -> Tensor:
            return self(visible, infrared, text, noise[0].float() if noise else None, timesteps).clamp(0, 1)

        tensors = [visible, infrared] if noise is None else [visible, infrared, noise]
        tile = whole if max(visible.shape[-2:]) <= whole else tile
        return fuse_tiled(run, tensors, tile, min(OVERLAP, tile // 2), self.extractor.multiple)

"""`Fuser`: feature extractor and decoder together, on registered pairs of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from depth.estimator import working_shape
from ldfusion.diffusion.features import FeatureExtractor
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.grid import apply_grid, apply_tiled
from ldfusion.io.color import to_stack
from ldfusion.io.size import resize

WORKING_SIDE = 240
"""Short side in pixels of the working copy, which is all that the networks see; a smaller pair is not enlarged."""


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

    def working_shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the working copy: the aspect kept (up to 4:1), both multiples of the extractor's."""
        return working_shape(height, width, min(WORKING_SIDE, height, width), self.extractor.multiple)

    def coefficients(
        self,
        stack: Tensor,
        text: Tensor | None,
        noise: Tensor | None,
        timesteps: Sequence[int] | None = None,
        tone: Tensor | None = None,
        steady: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Grid of coefficients of a working copy.

        Args:
            stack: [R, G, B, IR] (B, 4, h, w) in [-1, 1], sides divisible by the extractor's multiple.
            text: sentence features (B, D), None for a decoder without language.
            noise: (B, 4, h, w) standard normal, None for an extractor without timesteps.
            timesteps: other noise levels than the extractor's, as many.
            tone, steady: see `FusionDecoder.forward`.

        Returns:
            (B, AXES, COEFFICIENTS, R, h', w'), see `ldfusion.fusion.grid`.
        """
        if not self.decoder.config["timesteps"]:
            features = [stack] * len(self.decoder.levels)  # not looked at
        else:
            with torch.set_grad_enabled(torch.is_grad_enabled() and self.train_extractor):
                features = self.extractor(stack, noise, timesteps)
        grid: Tensor = self.decoder(features, stack, text, tone, steady)
        return grid

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor | None,
        noise: Tensor | None,
        tone: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Fuse with gradients, for training.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            text: sentence features (B, D), None for a decoder without language.
            noise: (B, 4, h, w), of the size that the working copy shall have; None: the networks see the pair itself.
            tone: (B, CONTROLS), see `ldfusion.fusion.tone`; None: natural.

        Returns:
            Colour image (B, 3, H, W) around [0, 1], not clamped, so that saturated pixels keep a gradient; the grid.
        """
        size = visible if noise is None else noise
        shape = (int(size.shape[-2]), int(size.shape[-1]))
        stack = to_stack(resize(visible, shape), resize(infrared, shape))
        grid = self.coefficients(stack, text, noise, None, tone)
        return apply_grid(grid, visible, infrared), grid

    @torch.no_grad()
    def fuse(
        self,
        visible: Tensor,
        infrared: Tensor,
        text: Tensor | None,
        noise: Tensor | None,
        timesteps: Sequence[int] | None = None,
        tone: Tensor | None = None,
        steady: Callable[[Tensor], Tensor] | None = None,
        settle: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Fuse pairs of any size; the networks see the working copy, the picture is made at full size.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            text: sentence features (B, D), None for a decoder without language.
            noise: (B, 4, h, w) of `working_shape`, None for an extractor without timesteps.
            timesteps: other noise levels than the extractor's.
            tone, steady: see `FusionDecoder.forward`.
            settle: called with the grid and the stack of the working copy; what it returns is sliced.

        Returns:
            (B, 3, H, W) in [0, 1], the size of the input. Memory beyond input and output is that of the working copy
            and of one tile; there are no seams.
        """
        shape = self.working_shape(*visible.shape[-2:])
        stack = to_stack(resize(visible, shape), resize(infrared, shape))
        grid = self.coefficients(stack, text, noise, timesteps, tone, steady)
        return apply_tiled(grid if settle is None else settle(grid, stack), visible, infrared)

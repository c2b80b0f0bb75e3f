"""The fusion decoder: features of the working copy, modulated by a sentence, become a grid of fusion coefficients.

From the finest level to the coarsest: the T timesteps of a level are mixed by a 1x1 convolution, the finer level comes
in through a convolution of stride 2, the sentence scales and shifts the channels (Text-IF, Yi et al. 2024), and a 3x3
convolution refines. At the coarsest level a token of the whole picture (mean feature, both histograms, the wanted tone)
scales and shifts the channels, so that exposure can follow the picture, and a 1x1 convolution gives the coefficients of
each cell.
What they weigh is in `ldfusion.fusion.grid`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.fusion.grid import AXES, BASIS, COEFFICIENTS, starting_coefficients
from ldfusion.fusion.tone import CONTROLS
from ldfusion.io.color import luma
from ldfusion.language.modulation import TextModulation, modulate

HISTOGRAM = 32
"""Bins of the histograms in the token, equidistant in the root of the grey value: most of a night is dark."""
_CLEAN = 6


class _Level(nn.Module):
    """One resolution: mix the timesteps, add the finer level, modulate, refine."""

    def __init__(self, features: int, finer: int, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(features, width, 1) if features else None
        self.down = nn.Conv2d(finer, width, 3, stride=2, padding=1) if finer else nn.Conv2d(_CLEAN, width, 3, padding=1)
        self.refine = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor, finer: Tensor, modulation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = self.down(finer)
        if self.mix is not None:
            x = x + self.mix(features)
        x = F.leaky_relu(x, 0.2)
        if modulation is not None:
            x = modulate(x, *modulation)
        return x + F.leaky_relu(self.refine(x), 0.2)


class FusionDecoder(ModelMixin, ConfigMixin):
    """Features and the clean stack of the working copy to the grid of coefficients.

    Args:
        feature_channels: channels of one timestep's features, finest level first; the cells of the grid are those of
            the coarsest level, 2^(levels - 1) pixels of the working copy wide.
        timesteps: how many timesteps the features come from; 0: only the clean stack is seen.
        widths: channels of the decoder's levels, finest first.
        nodes: of each range axis of the grid.
        text_dim: width of the text feature; 0 builds a decoder without language.
        hidden: hidden width of the modulation MLPs and of the token's.
    """

    @register_to_config
    def __init__(
        self,
        feature_channels: Sequence[int] = (16, 32, 64, 96),
        timesteps: int = 3,
        widths: Sequence[int] = (16, 32, 48, 72),
        nodes: int = 6,
        text_dim: int = 128,
        hidden: int = 96,
    ) -> None:
        super().__init__()
        if len(feature_channels) != len(widths):
            raise ValueError(f"{len(widths)} widths for {len(feature_channels)} feature levels")
        finer = (0, *widths[:-1])
        self.levels = nn.ModuleList(
            _Level(c * timesteps, f, w) for c, f, w in zip(feature_channels, finer, widths, strict=True)
        )
        self.modulation = TextModulation(text_dim, widths, hidden, init_scale=0.5) if text_dim else None
        last = widths[-1]
        self.token = nn.Sequential(
            nn.Linear(last + 2 * HISTOGRAM + CONTROLS, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 2 * last)
        )
        self.first = nn.Conv2d(last, last, 3, padding=1)
        self.second = nn.Conv2d(last, last, 3, padding=1)
        self.head = nn.Conv2d(last, AXES * COEFFICIENTS * nodes, 1)
        self.nodes = nodes
        nn.init.normal_(self.head.weight, std=1e-2)
        assert self.head.bias is not None
        with torch.no_grad():
            start = starting_coefficients() / AXES
            self.head.bias.copy_(start[None, :, None].expand(AXES, -1, nodes).flatten())

    @torch.no_grad()
    def adjust(self, contrast: float, detail: float = 1.0, pivot: float = 0.3) -> None:
        """Scale all coefficients that this decoder will give, as a last step after training.

        Args:
            contrast: gain of the fused luma about the grey level ``pivot``, in [0, 1].
            detail: further gain of the coefficients of details.
        """
        gain = torch.tensor(
            [contrast * (detail if "fine" in name or "coarse" in name else 1) for name in BASIS] + [1.0]
        )
        assert self.head.bias is not None
        weight = self.head.weight.view(AXES, COEFFICIENTS, self.nodes, -1)
        bias = self.head.bias.view(AXES, COEFFICIENTS, self.nodes)
        weight.mul_(gain[:, None, None])
        bias.mul_(gain[:, None])
        bias[:, BASIS.index("1")] -= (contrast - 1) * pivot / AXES

    def forward(
        self,
        features: Sequence[Tensor],
        stack: Tensor,
        text: Tensor | None = None,
        tone: Tensor | None = None,
        steady: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Coefficients (B, AXES, COEFFICIENTS, R, h, w) float32, see `ldfusion.fusion.grid`.

        Args:
            features: one tensor a level, finest first, (B, T * C_l, H / 2^l, W / 2^l).
            stack: clean [R, G, B, IR] of the working copy (B, 4, H, W) in [-1, 1].
            text: sentence features (B, text_dim); None only for a decoder without language.
            tone: (B, CONTROLS), see `ldfusion.fusion.tone`; None: natural.
            steady: called with what is known of the whole picture (B, D), its mean feature and histograms; what it
                returns takes their place. A video passes one that follows slowly.

        Raises:
            ValueError: features, text or tone of another number or shape.
        """
        modulations: Sequence[tuple[Tensor, Tensor] | None] = [None] * len(self.levels)
        if self.modulation is not None:
            if text is None:
                raise ValueError("this decoder is guided by a sentence: 'text' is needed")
            modulations = self.modulation(text)
        x = clean_input(stack)
        for level, modulation, feature in zip(self.levels, modulations, features, strict=True):
            x = level(feature, x, modulation)
        known = torch.cat([x.mean(dim=(2, 3)), histograms(stack)], dim=1)
        if steady is not None:
            known = steady(known)
        if tone is None:
            tone = known.new_zeros(1, CONTROLS)
        token = self.token(torch.cat([known, tone.to(known.dtype).expand(len(known), -1)], dim=1))[..., None, None]
        x = modulate(x, *token.chunk(2, dim=1))
        x = x + self.second(F.leaky_relu(self.first(x), 0.2))
        grid = self.head(F.leaky_relu(x, 0.2)).float()
        return grid.unflatten(1, (AXES, COEFFICIENTS, self.nodes))


def clean_input(stack: Tensor) -> Tensor:
    """The stack with max(Y, I) and Y - I beside it, (B, 6, H, W) in [-1, 1]."""
    y, infrared = luma(stack[:, :3]), stack[:, 3:]
    return torch.cat([stack, torch.maximum(y, infrared), (y - infrared) / 2], dim=1)


def histograms(stack: Tensor) -> Tensor:
    """Soft histograms of luma and infrared (B, 2 * HISTOGRAM), around 1 for a flat one."""
    both = torch.cat([luma(stack[:, :3]), stack[:, 3:]], dim=1).float() / 2 + 0.5
    place = both.clamp(0, 1).sqrt().flatten(2)[:, :, None] * (HISTOGRAM - 1)
    bins = torch.arange(HISTOGRAM, device=stack.device, dtype=torch.float32)[:, None]
    share = (1 - (place - bins).abs()).clamp_min(0).mean(dim=3)
    return (share * HISTOGRAM).flatten(1).to(stack.dtype)

"""The fusion decoder: multi-timestep diffusion features, modulated by a sentence, become one colour image.

From the coarsest level to the finest: the T timesteps of a level are mixed by a 1x1 convolution, the upsampled tensor
of the coarser level is added, the sentence scales and shifts the channels, and two 3x3 convolutions refine. Unlike
Dif-Fusion's head (Yue et al. 2023), whose finest block never reaches its output, every level here is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.io.color import luma
from ldfusion.language.modulation import TextModulation, modulate


class _Level(nn.Module):
    """One resolution: mix the timesteps, add the coarser level, modulate, refine with two residual convolutions."""

    def __init__(self, inputs: int, width: int, coarser: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(inputs, width, 1)
        self.lift = nn.Conv2d(coarser, width, 1) if coarser else None
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor, coarser: Tensor | None, modulation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = self.mix(features)
        if self.lift is not None and coarser is not None:
            # the 1x1 runs before upsampling: the same result at a quarter of the cost
            x = x + F.interpolate(self.lift(coarser), size=x.shape[-2:], mode="bilinear", align_corners=False)
        x = F.leaky_relu(x, 0.2)
        if modulation is not None:
            x = modulate(x, *modulation)
        return x + self.second(F.leaky_relu(self.first(x), 0.2))


def details(stack: Tensor) -> Tensor:
    """Detail of visible luma and infrared at two scales (B, 4, H, W): what means over 3x3 and 9x9 pixels take away.

    Args:
        stack: clean [R, G, B, IR] (B, 4, H, W) in [-1, 1]; the details are on the scale of [0, 1] images.
    """
    both = torch.cat([luma(stack[:, :3]), stack[:, 3:]], dim=1) * 0.5
    fine, coarse = (F.avg_pool2d(F.pad(both, (k,) * 4, mode="replicate"), 2 * k + 1, 1) for k in (1, 4))
    return torch.cat([both - fine, fine - coarse], dim=1)


class FusionDecoder(ModelMixin, ConfigMixin):
    """Features and the clean stack to the fused colour image.

    The last convolution predicts, for each pixel, a weight w, gains g of the detail of both images at two scales, and a
    colour residual r; fused = (1 - w) visible + w infrared + sum g detail + r, with the infrared image and the details
    in all three channels. The smooth maps w and g carry sharp edges over without having to draw them.

    Args:
        feature_channels: channels of one timestep's features, finest level first.
        timesteps: how many timesteps the features come from.
        widths: channels of the decoder's levels, finest first.
        text_dim: width of the text feature; 0 builds a decoder without language.
        hidden: hidden width of the modulation MLPs.
    """

    @register_to_config
    def __init__(
        self,
        feature_channels: Sequence[int] = (16, 32, 64, 96),
        timesteps: int = 3,
        widths: Sequence[int] = (16, 24, 48, 64),
        text_dim: int = 128,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        if len(feature_channels) != len(widths):
            raise ValueError(f"{len(widths)} widths for {len(feature_channels)} feature levels")
        coarser = (*widths[1:], 0)
        self.levels = nn.ModuleList(
            _Level(c * timesteps, w, up) for c, w, up in zip(feature_channels, widths, coarser, strict=True)
        )
        self.modulation = TextModulation(text_dim, widths, hidden, init_scale=0.5) if text_dim else None
        # local contrast at the finest scale does not survive the noisy features: the clean stack joins here
        wide = 3 * widths[0] // 2
        self.clean = nn.Conv2d(8, wide, 3, padding=1)
        self.merge = nn.Conv2d(widths[0] + wide, wide, 3, padding=1)
        self.first = nn.Conv2d(wide, wide, 3, padding=1)
        self.second = nn.Conv2d(wide, wide, 3, padding=1)
        self.head = nn.Conv2d(wide, 8, 3, padding=1)
        nn.init.normal_(self.head.weight, std=1e-2)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Sequence[Tensor], stack: Tensor, text: Tensor | None = None) -> Tensor:
        """Fused image (B, 3, H, W).

        Args:
            features: one tensor a level, finest first, (B, T * C_l, H / 2^l, W / 2^l).
            stack: clean [R, G, B, IR] (B, 4, H, W) in [-1, 1].
            text: sentence features (B, text_dim); None only for a decoder without language.

        Returns:
            Colour image around [0, 1]; clamped to it in evaluation mode, left free in training so that saturated
            pixels keep a gradient.
        """
        modulations: Sequence[tuple[Tensor, Tensor] | None] = [None] * len(self.levels)
        if self.modulation is not None:
            if text is None:
                raise ValueError("this decoder is guided by a sentence: 'text' is needed")
            modulations = self.modulation(text)
        x: Tensor | None = None
        for level in reversed(range(len(self.levels))):
            x = self.levels[level](features[level], x, modulations[level])
        assert x is not None
        detail = details(stack)
        clean = F.leaky_relu(self.clean(torch.cat([stack, detail], dim=1)), 0.2)
        x = F.leaky_relu(self.merge(torch.cat([x, clean], dim=1)), 0.2)
        x = x + self.second(F.leaky_relu(self.first(x), 0.2))
        out = self.head(x).float()
        visible, infrared = stack[:, :3] * 0.5 + 0.5, stack[:, 3:] * 0.5 + 0.5
        weight, gains, residual = torch.sigmoid(out[:, :1]), out[:, 1:5], out[:, 5:]
        added = (gains * detail).sum(dim=1, keepdim=True)
        fused = (1 - weight) * visible + weight * infrared + added + residual
        return fused if self.training else fused.clamp(0, 1)

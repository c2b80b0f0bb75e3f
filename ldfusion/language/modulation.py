"""From a sentence to the decoder: an MLP per decoder level predicts the scale and shift of that level's features.

The form is that of Text-IF (Yi et al., "Text-IF: Leveraging Semantic Text Guidance for Degradation-Aware and
Interactive Image Fusion", CVPR 2024): at level l, with the text feature c,

    (gamma_l, beta_l) = W2_l LeakyReLU(W1_l c),        y_l = (1 + gamma_l) x_l + beta_l,

one gamma and one beta per channel, the same at every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

Modulation = tuple[Tensor, Tensor]
"""gamma and beta of one decoder level, both (B, C, 1, 1)."""


def modulate(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """Return (1 + gamma) x + beta (Text-IF, CVPR 2024).

    Args:
        x: features of one decoder level, (B, C, H, W).
        gamma: scale around one, (B, C, 1, 1) or (1, C, 1, 1).
        beta: shift, same shape as ``gamma``.
    """
    return (1 + gamma) * x + beta


class TextModulation(ModelMixin, ConfigMixin):
    """The MLPs of all decoder levels: Linear(D -> hidden), LeakyReLU, Linear(hidden -> 2C), split into gamma and beta.

    Args:
        text_dim: width D of the text feature (128 for the embedded text encoder, 512 for CLIP ViT-B/32).
        channels: channels C of every decoder level, in the order in which the decoder asks for them.
        hidden: width of the hidden layer. Text-IF takes 1024 for D = 512; the embedded default keeps the factor of two.
        init_scale: standard deviation of the last layer's weights at the start, relative to 1 / sqrt(hidden). The
            guidance then starts close to the identity while every parameter still receives a gradient, which an
            all-zero start would deny to the first layer.

    Raises:
        ValueError: if a size is not positive or there is no level at all.
    """

    @register_to_config
    def __init__(
        self, text_dim: int = 128, channels: Sequence[int] = (64, 48, 32), hidden: int = 256, init_scale: float = 0.1
    ) -> None:
        super().__init__()
        if not channels or min(text_dim, hidden, *channels) < 1:
            raise ValueError(
                f"text_dim, hidden and every entry of channels must be at least 1, "
                f"got text_dim={text_dim}, hidden={hidden}, channels={list(channels)}"
            )
        self.text_dim = text_dim
        self.levels = nn.ModuleList()
        for width in channels:
            last = nn.Linear(hidden, 2 * width)
            nn.init.normal_(last.weight, std=init_scale * hidden**-0.5)
            nn.init.zeros_(last.bias)
            self.levels.append(nn.Sequential(nn.Linear(text_dim, hidden), nn.LeakyReLU(0.01), last))

    def forward(self, text: Tensor) -> list[Modulation]:
        """Predict gamma and beta of every level.

        Args:
            text: text features, (B, D), as the text encoder gives them (not normalised).

        Returns:
            One (gamma, beta) per level, in the order of ``channels``; each (B, C, 1, 1).

        Raises:
            ValueError: if ``text`` is not (B, D).
        """
        if text.ndim != 2 or text.shape[1] != self.text_dim:
            raise ValueError(f"text features must be (B, {self.text_dim}), got {tuple(text.shape)}")
        modulations: list[Modulation] = []
        for level in self.levels:
            gamma, beta = torch.chunk(level(text)[:, :, None, None], 2, dim=1)
            modulations.append((gamma, beta))
        return modulations

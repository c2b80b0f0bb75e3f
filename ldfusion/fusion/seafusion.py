"""The fusion network of SeAFusion (Tang et al., Information Fusion 82, 2022): gradient residual dense blocks."""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2


class GradientMagnitude(nn.Module):
    """|Sobel_x * x| + |Sobel_y * x| per channel, zero padding. The released code lets the kernels train; so do we."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        self.x = nn.Parameter(kernel.expand(channels, 1, 3, 3).clone())
        self.y = nn.Parameter(kernel.T.expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        c = x.shape[1]
        return F.conv2d(x, self.x, padding=1, groups=c).abs() + F.conv2d(x, self.y, padding=1, groups=c).abs()


class GradientResidualDenseBlock(nn.Module):
    """Two densely connected convolutions beside a residual path through the gradient magnitude (their fig. 3)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(2 * inputs, inputs, 3, padding=1)
        self.main = nn.Conv2d(3 * inputs, outputs, 1)
        self.gradient = GradientMagnitude(inputs)
        self.residual = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        a = F.leaky_relu(self.first(x), SLOPE)
        b = F.leaky_relu(self.second(torch.cat([x, a], dim=1)), SLOPE)
        out = self.main(torch.cat([x, a, b], dim=1)) + self.residual(self.gradient(x))
        return F.leaky_relu(out, 0.1)


class GRDBFusionNetwork(ModelMixin, ConfigMixin):
    """Visible luma and infrared to fused luma, 166,657 parameters, as the authors' released code has it.

    Where paper and code differ, this is the code: a 3x3 last convolution (paper: 1x1), trainable Sobel kernels (paper:
    fixed), LeakyReLU after each block (paper: not mentioned). The code's unused batch normalisations are left out.
    """

    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        self.visible = self._stream()
        self.infrared = self._stream()
        widths = (96, 64, 32, 16)
        self.reconstruct = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.out = nn.Conv2d(16, 1, 3, padding=1)

    @staticmethod
    def _stream() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            GradientResidualDenseBlock(16, 32),
            GradientResidualDenseBlock(32, 48),
        )

    def forward(self, luma: Tensor, infrared: Tensor) -> Tensor:
        """Fused luma (B, 1, H, W) in [0, 1] of two images (B, 1, H, W) in [0, 1]."""
        x = torch.cat([self.visible(luma), self.infrared(infrared)], dim=1)
        for layer in self.reconstruct:
            x = F.leaky_relu(layer(x), SLOPE)
        return torch.tanh(self.out(x)) / 2 + 0.5

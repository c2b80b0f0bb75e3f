"""The two U-Nets of VoxelMorph, with modules named as in the published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COMPACT_WIDTH, COMPACT_LAST = 32, 16
_SLOPE = 0.2


class _Block(nn.Module):
    """Convolution (``main``) and LeakyReLU 0.2."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.main = nn.Conv2d(inputs, outputs, kernel, stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.main(x), _SLOPE)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ClassicUNet(nn.Module):
    """One convolution and a max-pooling a level, nearest upsampling, skips; surplus decoder widths at full size."""

    def __init__(self, inputs: int, encoder: Sequence[int], decoder: Sequence[int]) -> None:
        super().__init__()
        levels = len(encoder)
        widths = [inputs, *encoder]
        self.encoder = nn.ModuleList(nn.ModuleList([_Block(a, b)]) for a, b in zip(widths, encoder, strict=False))
        self.decoder = nn.ModuleList()
        last = encoder[-1]
        for width, skip in zip(decoder, reversed(encoder), strict=False):
            self.decoder.append(nn.ModuleList([_Block(last, width)]))
            last = width + skip
        self.remaining = nn.ModuleList()
        for width in decoder[levels:]:
            self.remaining.append(_Block(last, width))
            last = width
        self.outputs = last

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        skips = []
        for level in self.encoder:
            x = level[0](x)  # type: ignore[index]
            skips.append(x)
            x = F.max_pool2d(x, 2)
        for level in self.decoder:
            x = torch.cat([_double(level[0](x)), skips.pop()], dim=1)  # type: ignore[index]
        for block in self.remaining:
            x = block(x)
        return x


class CompactUNet(nn.Module):
    """Four strided 4x4 convolutions down to 1/16, six 3x3 ones back, the input itself as the last skip."""

    outputs = COMPACT_LAST

    def __init__(self, inputs: int) -> None:
        super().__init__()
        c = COMPACT_WIDTH
        self.enc = nn.ModuleList(_Block(inputs if k == 0 else c, c, kernel=4, stride=2) for k in range(4))
        widths = [(c, c), (2 * c, c), (2 * c, c), (2 * c, c), (c, c), (c + inputs, COMPACT_LAST)]
        self.dec = nn.ModuleList(_Block(a, b) for a, b in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 16, H, W)."""
        skips = [x]
        for block in self.enc:
            skips.append(block(skips[-1]))
        x = self.dec[0](skips.pop())
        for k in (1, 2, 3):
            x = self.dec[k](torch.cat([_double(x), skips.pop()], dim=1))
        return self.dec[5](torch.cat([_double(self.dec[4](x)), skips.pop()], dim=1))

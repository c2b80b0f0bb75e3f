"""The image side of the captioner: one convolutional encoder for visible, infrared and both depth maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_CHANNELS = 10
"""Visible 3, its standardised luma 1, infrared 1, standardised infrared 1, both depth maps 2, coordinates 2."""


def standardise(x: Tensor) -> Tensor:
    """(B, 1, H, W) to mean 0 and deviation 1 per image, clamped to four deviations; a constant image gives zeros."""
    mean = x.mean((-2, -1), keepdim=True)
    deviation = x.std((-2, -1), keepdim=True, correction=0)
    return ((x - mean) / (deviation + 1e-3 * mean.abs() + 1e-6)).clamp(-4.0, 4.0)


def fit(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) at the captioner's size, low-pass filtered when shrinking; what has that size stays as it is."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=x.shape[-1] > size[1])


def stack_inputs(
    visible: Tensor, infrared: Tensor, depth_visible: Tensor, depth_infrared: Tensor, size: tuple[int, int]
) -> Tensor:
    """All the encoder sees, (B, 10, *size).

    Depth is relative, so its scale means nothing and it is standardised. The images go in twice: as they are, since
    brightness tells day from night, and standardised, since gain must not hide what is in the dark.

    Args:
        visible: (B, 3, H, W) in [0, 1].
        infrared: (B, 1, H, W) in [0, 1].
        depth_visible, depth_infrared: (B, 1, h, w) relative inverse depth, any scale, any size.
        size: height and width of the result, pixels.
    """
    seen, heat, near_v, near_i = (fit(x, size) for x in (visible, infrared, depth_visible, depth_infrared))
    luma = 0.299 * seen[:, :1] + 0.587 * seen[:, 1:2] + 0.114 * seen[:, 2:]
    rows = torch.linspace(-1, 1, size[0], device=seen.device, dtype=seen.dtype).view(1, 1, -1, 1)
    columns = torch.linspace(-1, 1, size[1], device=seen.device, dtype=seen.dtype).view(1, 1, 1, -1)
    flat = torch.zeros_like(luma)
    parts = (seen * 2 - 1, standardise(luma), heat * 2 - 1, standardise(heat), standardise(near_v), standardise(near_i))
    return torch.cat([*parts, rows + flat, columns + flat], dim=1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and SiLU around an identity (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, h, w) of the same shape."""
        return F.silu(x + self.body(x))


def _halve(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outside), nn.SiLU()
    )


class PairEncoder(nn.Module):
    """Stacked inputs (B, 10, H, W), H and W multiples of 16, to features (B, D, H/16, W/16) and (B, C, H/8, W/8).

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the size.
        blocks: residual blocks at 1/4, 1/8 and 1/16.
        dropout: share of channels dropped in training between the deepest blocks and the output.
    """

    def __init__(
        self, widths: Sequence[int] = (32, 48, 96, 192), blocks: Sequence[int] = (1, 2, 2), dropout: float = 0.1
    ) -> None:
        super().__init__()
        stem, quarter, eighth, sixteenth = widths
        self.stem = _halve(INPUT_CHANNELS, stem)
        self.quarter = nn.Sequential(_halve(stem, quarter), *(ResidualBlock(quarter) for _ in range(blocks[0])))
        self.eighth = nn.Sequential(_halve(quarter, eighth), *(ResidualBlock(eighth) for _ in range(blocks[1])))
        self.sixteenth = nn.Sequential(
            _halve(eighth, sixteenth), *(ResidualBlock(sixteenth) for _ in range(blocks[2])), nn.Dropout2d(dropout)
        )
        self.lateral = nn.Conv2d(sixteenth, eighth, 1)
        self.merge = nn.Sequential(
            nn.Conv2d(eighth, eighth, 3, padding=1, bias=False), nn.BatchNorm2d(eighth), nn.SiLU()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the stacked input (B, C, H, W): (B, width, H/16, W/16) and (B, width, H/8, W/8)."""
        fine = self.eighth(self.quarter(self.stem(x)))
        coarse = self.sixteenth(fine)
        above = F.interpolate(self.lateral(coarse), fine.shape[-2:], mode="bilinear", align_corners=False)
        return coarse, self.merge(fine + above)

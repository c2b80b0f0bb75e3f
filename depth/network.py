"""The student: a small residual network from image to relative inverse depth, trained from scratch on little data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 32
MIN_STD = 0.02
"""Smallest contrast an image is stretched from: below it (5 grey levels of 255) there is noise rather than a scene."""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """x + BN(conv(SiLU(BN(conv(x))))); the last BatchNorm starts at zero, so that a fresh block is the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape."""
        return F.silu(x + self.norm(self.second(self.first(x))))


class GlobalContext(nn.Module):
    """Tells each position what the whole image is: the mean feature gates the channels and is added to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.bias = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape."""
        mean = x.mean((-2, -1))
        return x * 2 * torch.sigmoid(self.gate(mean))[..., None, None] + self.bias(mean)[..., None, None]


def coordinates(like: Tensor) -> Tensor:
    """Position of each pixel, ``(B, 2, H, W)``: x and y from -1 to 1. Ground is low and near, sky high and far."""
    batch, _, height, width = like.shape
    y = torch.linspace(-1, 1, height, dtype=like.dtype, device=like.device)
    x = torch.linspace(-1, 1, width, dtype=like.dtype, device=like.device)
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.expand(batch, -1, -1, -1)


def standardise_image(image: Tensor) -> Tensor:
    """Each image minus its own mean, over its own standard deviation (all channels together, so that colour stays)."""
    mean = image.mean((1, 2, 3), keepdim=True)
    variance = (image - mean).square().mean((1, 2, 3), keepdim=True)
    return (image - mean) / torch.sqrt(variance + MIN_STD**2)


class PyramidNetwork(ModelMixin, ConfigMixin):
    """The trunk that our networks share: stem, residual stages at 1/4 .. 1/32, global context, pyramid back to 1/4.

    A subclass calls `add_trunk` in its constructor, adds its head, and starts its forward pass with `pyramid`.
    """

    def add_trunk(self, channels: int, widths: Sequence[int], blocks: Sequence[int], stem: int, head: int) -> None:
        """Make the layers; arguments as of `DepthStudent`.

        Raises:
            ValueError: not four stages.
        """
        if len(widths) != 4 or len(blocks) != 4:
            raise ValueError(f"widths {tuple(widths)} and blocks {tuple(blocks)} need four stages (1/4 .. 1/32)")
        self.channels = channels
        self.to_half = conv(channels + 2, stem, stride=2)
        self.to_quarter = conv(stem, widths[0], stride=2)
        # Mean pooling and 1x1 between stages: a strided 3x3 would cost a third of all parameters at the deepest step.
        self.descents = nn.ModuleList(
            nn.Sequential(nn.AvgPool2d(2), conv(narrow, wide, 1)) for narrow, wide in pairwise(widths)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.context = GlobalContext(widths[-1])
        self.laterals = nn.ModuleList(nn.Conv2d(width, head, 1) for width in widths)
        self.smooths = nn.ModuleList(conv(head, head) for _ in widths)

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The finest level of the pyramid ``(B, head, H/4, W/4)`` and the stem's feature ``(B, stem, H/2, W/2)``.

        Raises:
            ValueError: a size that is not a multiple of 32, or another number of channels.
        """
        if image.shape[1] != self.channels or image.shape[-2] % STRIDE or image.shape[-1] % STRIDE:
            raise ValueError(
                f"image of shape {tuple(image.shape)}: need {self.channels} channels, height and width "
                f"multiples of {STRIDE}"
            )
        fine = self.to_half(torch.cat((standardise_image(image), coordinates(image)), 1))
        x = self.stages[0](self.to_quarter(fine))
        features = [x]
        for descent, stage in zip(self.descents, self.stages[1:], strict=True):
            x = stage(descent(x))
            features.append(x)
        x = self.smooths[-1](self.laterals[-1](self.context(features[-1])))
        for level in (2, 1, 0):
            x = self.smooths[level](_double(x) + self.laterals[level](features[level]))
        return x, fine


class DepthStudent(PyramidNetwork):
    """Relative inverse depth from one image of one modality.

    Stem to 1/4, residual stages at 1/4 .. 1/32, global context at the deepest, a feature pyramid back to 1/4, one
    refinement at 1/2 with the stem's feature, a softplus head, bilinear to the full size. 2.6 M parameters by default.

    Args:
        in_channels: 3 for visible, 1 for infrared.
        widths: channels of the stages.
        blocks: residual blocks of the stages.
        stem: channels at 1/2.
        head: channels of the pyramid.
        working_size: short side in pixels that the network was trained at; the estimator resizes to it.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = (32, 64, 128, 192),
        blocks: Sequence[int] = (2, 2, 3, 2),
        stem: int = 24,
        head: int = 48,
        working_size: int = 256,
    ) -> None:
        super().__init__()
        if working_size < STRIDE or working_size % STRIDE:
            raise ValueError(f"working_size {working_size} must be a multiple of {STRIDE}")
        self.add_trunk(in_channels, widths, blocks, stem, head)
        self.narrow = nn.Conv2d(head, stem, 1)
        self.refine = nn.Sequential(conv(2 * stem, stem), conv(stem, stem))
        self.out = nn.Conv2d(stem, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Relative inverse depth, near = large.

        Args:
            image: ``(B, in_channels, H, W)`` in [0, 1], H and W multiples of 32.

        Returns:
            ``(B, 1, H, W)``, >= 0, scale and shift unknown.

        Raises:
            ValueError: a size that is not a multiple of 32, or another number of channels.
        """
        x, fine = self.pyramid(image)
        x = self.refine(torch.cat((_double(self.narrow(x)), fine), 1))  # (B, stem, H/2, W/2)
        return _double(F.softplus(self.out(x)))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

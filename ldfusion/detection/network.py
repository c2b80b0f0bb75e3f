"""The small detector of our own: anchor-free, one heat map of object centres a class and four distances a position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from depth.network import STRIDE, GlobalContext, ResidualBlock, conv, coordinates, standardise_image
from ldfusion.data.boxes import BOX_CLASSES

CELL = 4
"""Pixels of the input a position of the output stands for."""
RARE = 0.02
"""Heat of a fresh network: objects are rare, so that the first steps are not spent on the background."""


class CentreDetector(ModelMixin, ConfigMixin):
    """Objects as the centres of their boxes (Zhou et al. 2019), distances to the sides as in FCOS (Tian et al. 2019).

    The trunk is laid out as in `depth.DepthStudent`, whose weights know the same streets and may start it: stem to 1/4,
    residual stages at 1/4 .. 1/32, global context, a feature pyramid back to 1/4. 1.4 M parameters by default.

    Args:
        classes: names of the classes, in the order of the ids.
        widths: channels of the four stages.
        blocks: residual blocks of the stages.
        stem: channels at 1/2.
        head: channels of the pyramid.
        working_size: short side in pixels that images are resized to.
    """

    @register_to_config
    def __init__(
        self,
        classes: Sequence[str] = BOX_CLASSES,
        widths: Sequence[int] = (32, 64, 128, 96),
        blocks: Sequence[int] = (2, 2, 3, 1),
        stem: int = 24,
        head: int = 48,
        working_size: int = 256,
    ) -> None:
        super().__init__()
        if len(widths) != 4 or len(blocks) != 4:
            raise ValueError(f"widths {tuple(widths)} and blocks {tuple(blocks)} need four stages (1/4 .. 1/32)")
        self.to_half = conv(3 + 2, stem, stride=2)
        self.to_quarter = conv(stem, widths[0], stride=2)
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
        self.heat = nn.Sequential(conv(head, head), nn.Conv2d(head, len(classes), 1))
        self.sides = nn.Sequential(conv(head, head), nn.Conv2d(head, 4, 1))
        nn.init.constant_(self._bias(self.heat), -math.log((1 - RARE) / RARE))
        nn.init.constant_(self._bias(self.sides), math.log(16.0 / CELL))

    @staticmethod
    def _bias(tower: nn.Sequential) -> Tensor:
        last = tower[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        return last.bias

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the centres and distances from each position to the sides of its box.

        Args:
            image: ``(B, 3, H, W)`` in [0, 1], H and W multiples of 32; a one-channel image is repeated by the caller.

        Returns:
            heat ``(B, classes, H/4, W/4)`` logits, and sides ``(B, 4, H/4, W/4)`` > 0 in pixels of the image: left,
            top, right, bottom of the centre of the position's 4x4 pixels.

        Raises:
            ValueError: a size that is not a multiple of 32, or another number of channels.
        """
        if image.shape[1] != 3 or image.shape[-2] % STRIDE or image.shape[-1] % STRIDE:
            raise ValueError(
                f"image of shape {tuple(image.shape)}: need 3 channels, height and width multiples of {STRIDE}"
            )
        x = self.to_half(torch.cat((standardise_image(image), coordinates(image)), 1))
        x = self.stages[0](self.to_quarter(x))
        features = [x]
        for descent, stage in zip(self.descents, self.stages[1:], strict=True):
            x = stage(descent(x))
            features.append(x)
        x = self.smooths[-1](self.laterals[-1](self.context(features[-1])))
        for level in (2, 1, 0):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.smooths[level](x + self.laterals[level](features[level]))
        # exp spans a pedestrian of 4 pixels and a lorry across the frame alike; the bound keeps half precision finite
        return self.heat(x), CELL * self.sides(x).clamp_max(7).exp()

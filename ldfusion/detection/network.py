"""The small detector of our own: anchor-free, one heat map of object centres a class and four distances a position."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from depth.network import PyramidNetwork, conv
from ldfusion.data.boxes import BOX_CLASSES

CELL = 4
"""Pixels of the input a position of the output stands for."""
RARE = 0.02
"""Heat of a fresh network: objects are rare, so that the first steps are not spent on the background."""


class CentreDetector(PyramidNetwork):
    """Objects as the centres of their boxes (Zhou et al. 2019), distances to the sides as in FCOS (Tian et al. 2019).

    The trunk is that of `depth.DepthStudent`, whose weights know the same streets and may start it. 1.4 M parameters by
    default.

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
        self.add_trunk(3, widths, blocks, stem, head)
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
        x, _ = self.pyramid(image)
        # exp spans a pedestrian of 4 pixels and a lorry across the frame alike; the bound keeps half precision finite
        return self.heat(x), CELL * self.sides(x).clamp_max(7).exp()

"""Visible edges over the infrared image in its palette: colours go on standing for temperature.

Thermographers read temperatures off colours, which any mixing of both images changes. What they accept is the drawing
of the visible image on top, thin lines that darken or lighten: so the colour of a pixel is that of the palette, and
only where the visible image has detail its brightness changes, by no more than a fixed amount.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.fusion.base import ImageMethod
from ldfusion.io.color import luma
from ldfusion.io.palette import NAMES, palette

STRENGTH = 0.35
"""Largest change of brightness."""
_GAIN = 3.0
_QUIET = 0.015  # detail below this is noise and leaves the colour as it is


class EdgeOverlay(ImageMethod):
    """Draw the detail of the visible luma over the infrared image in the colours of a palette.

    Args:
        palette_name: a name of `ldfusion.io.palette.NAMES`.
    """

    name = "edges"

    def __init__(self, palette_name: str = "iron") -> None:
        super().__init__()
        if palette_name not in NAMES:
            raise InputError(f"palette: unknown '{palette_name}'; known: {', '.join(NAMES)}")
        self.palette = palette_name
        self._colours = torch.from_numpy(palette(palette_name)).float() / 255

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        index = infrared.mul(255).round_().clamp_(0, 255).long()[:, 0]
        coloured = self._colours.to(visible.device)[index].movedim(-1, 1)
        return (coloured + edge_detail(visible)).clamp_(0, 1)


def edge_detail(visible: Tensor) -> Tensor:
    """Visible (B, 3, H, W) -> (B, 1, H, W) in [-`STRENGTH`, `STRENGTH`], 0 where the image is smooth."""
    grey = luma(visible)
    side = max(3, round(min(grey.shape[-2:]) / 80)) | 1
    smooth = grey
    for _ in range(2):  # two means in a row are nearly a Gaussian
        padded = F.pad(smooth, (side // 2,) * 4, mode="reflect")
        smooth = F.avg_pool2d(padded, side, stride=1)
    detail = grey - smooth
    loud = detail.sign() * (detail.abs() - _QUIET).clamp_min(0)
    return STRENGTH * torch.tanh(loud * (_GAIN / STRENGTH))

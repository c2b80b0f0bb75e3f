"""Pictures that show whether a registration is right."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ldfusion.io.color import luma
from ldfusion.io.preview import Picture, panel
from ldfusion.registration.contours import canny_contours

_EDGE_COLOURS = {"visible": (0.1, 0.75, 0.85), "infrared": (1.0, 0.35, 0.1)}
_DIMMED = 0.55


def difference(visible: Tensor, infrared: Tensor, mask: Tensor | None = None) -> NDArray[np.uint8]:
    """Infrared minus visible luma, -1 to 1 from dark violet to yellow (viridis), as (H, W, 3) uint8 RGB.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1].
        mask: (1, 1, H, W) bool; black where it is False.
    """
    signed = (infrared - luma(visible))[0, 0]
    codes = ((signed + 1) / 2 * 255).round().clamp(0, 255).byte().cpu().numpy()
    colours = np.ascontiguousarray(cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS)[..., ::-1], dtype=np.uint8)
    if mask is not None:
        colours[~mask[0, 0].cpu().numpy()] = 0
    return colours


def five_panels(visible: Tensor, raw: Tensor, before: Tensor, after: Tensor, mask: Tensor, caption: str) -> Image.Image:
    """Infrared as it came, visible, warped infrared, and the differences before and after.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        raw: infrared (1, 1, h, w) as it came.
        before: infrared resized to (1, 1, H, W).
        after: infrared warped onto (1, 1, H, W).
        mask: (1, 1, H, W) bool, where ``after`` has data.
        caption: one line below.
    """
    pictures: list[Picture] = [
        raw[0],
        visible[0],
        (after * mask)[0],
        difference(visible, before),
        difference(visible, after, mask),
    ]
    return panel(pictures, ["infrared", "visible", "warped", "difference before", "difference after"], caption)


def edge_overlay(visible: Tensor, infrared: Tensor, mask: Tensor | None = None) -> Tensor:
    """Edges of both images over the dimmed visible luma: visible ones blue, infrared ones orange, white where both are.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1], on the visible grid.
        mask: (1, 1, H, W) bool; no infrared edges where it is False.

    Returns:
        (3, H, W) in [0, 1].
    """
    grey = luma(visible)
    edges = {"visible": canny_contours(grey)[0, 0] > 0.5, "infrared": canny_contours(infrared)[0, 0] > 0.5}
    if mask is not None:
        # the border of the data is no edge of the scene
        inner = -torch.nn.functional.max_pool2d(-mask.float(), 7, 1, 3) > 0.5
        edges["infrared"] &= inner[0, 0]
    picture = (_DIMMED * grey[0]).expand(3, -1, -1).clone()
    for name, colour in _EDGE_COLOURS.items():
        picture[:, edges[name]] = torch.tensor(colour)[:, None]
    picture[:, edges["visible"] & edges["infrared"]] = 1.0
    return picture


def edge_panel(visible: Tensor, before: Tensor, after: Tensor, mask: Tensor) -> Image.Image:
    """`edge_overlay` before and after registration, side by side; arguments as `five_panels`."""
    pictures = [edge_overlay(visible, before), edge_overlay(visible, after, mask)]
    caption = "edges: visible blue, infrared orange, both white"
    return panel(pictures, ["edges before", "edges after"], caption)

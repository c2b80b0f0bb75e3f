"""Everything about image size: resizing, fitting the infrared to the visible, and filters applied tile by tile.

Tensors are ``(..., C, H, W)`` of any range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ldfusion.io.notices import notice

ASPECT_TOLERANCE = 0.01
"""Relative difference of the width / height ratios of two images above which a warning is given."""


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of ``(B, C, H, W)`` to (height, width), low-pass filtered when shrinking; differentiable."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


def match_infrared(visible: Tensor, infrared: Tensor, name: str = "") -> Tensor:
    """Resize the infrared ``(B, 1, h, w)`` to the size of the visible ``(B, 3, H, W)``.

    Warns in the log ("ldfusion.io") when the two shapes differ by more than ``ASPECT_TOLERANCE``: the infrared is then
    stretched, and the two cameras hardly see the same field.

    Args:
        name: what the warning calls the pair.
    """
    (height, width), (ir_height, ir_width) = visible.shape[-2:], infrared.shape[-2:]
    ratio = (width * ir_height) / (height * ir_width)
    if max(ratio, 1 / ratio) > 1 + ASPECT_TOLERANCE:
        notice(
            f"{name}: " * bool(name) + f"infrared {ir_width}x{ir_height} has another aspect than visible "
            f"{width}x{height} and is stretched to it; crop both to one field of view"
        )
    return resize(infrared, (height, width))


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: Tensor) -> Tensor:
        """The part of ``(..., H, W)`` under this tile; a view, no copy."""
        return image[..., self.top : self.top + self.height, self.left : self.left + self.width]


def tiles(height: int, width: int, tile: int, step: int = 1) -> list[Tile]:
    """Cover an image by tiles side by side, row by row.

    The tiles are spread evenly; a side shorter than ``tile`` gets one tile of its own length.

    Args:
        step: tiles start at multiples of this, the last one of a row or column is longer by what is then left, less
            than ``step``. With the stride of a network its coarse levels meet the same pixels as in the whole image.

    Raises:
        ValueError: not 1 <= step <= tile.
    """
    if not 1 <= step <= tile:
        raise ValueError(f"need 1 <= step <= tile, got step {step} and tile {tile}")
    return [
        Tile(top, left, tile_height, tile_width)
        for top, tile_height in _spans(height, tile, step)
        for left, tile_width in _spans(width, tile, step)
    ]


@torch.no_grad()
def filter_tiled(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], tile: int, reach: int, step: int = 1
) -> Tensor:
    """Apply a filter of known reach to an image of any size, tile by tile, with the result of the whole image.

    Each tile is cut with ``reach`` more pixels on the sides where the image goes on, and only its own part is kept:
    nothing is blended, and the borders that ``function`` sees are those of the image.

    Args:
        function: takes one tile of each tensor and returns ``(B, C', h, w)`` of the same height and width.
        tensors: ``(B, C, H, W)`` each, channels free, one height and width.
        tile: side of a tile's own part in pixels.
        reach: how far around a pixel ``function`` looks, in pixels.
        step: cuts are made at multiples of this, for a function that works on a grid of this stride.
    """
    height, width = tensors[0].shape[-2:]
    grid = tiles(height, width, tile, step)
    if len(grid) == 1:
        return function(*tensors)
    margin = math.ceil(reach / step) * step
    result: Tensor | None = None
    for own in grid:
        top, left = max(own.top - margin, 0), max(own.left - margin, 0)
        bottom, right = own.top + own.height + margin, own.left + own.width + margin
        seen = Tile(top, left, min(bottom, height) - top, min(right, width) - left)
        piece = function(*(seen.cut(tensor) for tensor in tensors))
        if result is None:
            result = piece.new_empty(*piece.shape[:-2], height, width)
        inner = Tile(own.top - top, own.left - left, own.height, own.width)
        own.cut(result).copy_(inner.cut(piece))
    assert result is not None  # a grid has at least one tile
    return result


def _spans(length: int, tile: int, step: int) -> list[tuple[int, int]]:
    """Start and length of every tile along one side."""
    last = (length - tile) // step * step
    if last <= 0:
        return [(0, length)]
    gaps = math.ceil(last / (tile // step * step))
    starts = [index * last // gaps // step * step for index in range(gaps)]
    return [*((start, tile) for start in starts), (last, length - last)]

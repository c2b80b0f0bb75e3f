"""Everything about image size: padding, resizing, fitting the infrared to the visible, and tiles with blended seams.

Tensors are ``(..., C, H, W)`` of any range. What goes in at one size comes back at that size: ``pad_to_multiple`` with
``crop``, and ``fuse_tiled``, which does both for every tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ldfusion.io.notices import notice

ASPECT_TOLERANCE = 0.01
"""Relative difference of the width / height ratios of two images above which a warning is given."""

Pads = tuple[int, int, int, int]
"""Pixels added left, right, top and bottom."""


def pad_to_multiple(image: Tensor, multiple: int) -> tuple[Tensor, Pads]:
    """Pad right and bottom until height and width are multiples of ``multiple``.

    Mirrors the image without repeating the border; a side too short to be mirrored that far repeats its border.

    Args:
        image: ``(B, C, H, W)``.

    Returns:
        The padded image (the same tensor if nothing was missing) and what ``crop`` needs to undo it.
    """
    height, width = image.shape[-2:]
    right, bottom = -width % multiple, -height % multiple
    if right:
        image = F.pad(image, (0, right, 0, 0), mode="reflect" if right < width else "replicate")
    if bottom:
        image = F.pad(image, (0, 0, 0, bottom), mode="reflect" if bottom < height else "replicate")
    return image, (0, right, 0, bottom)


def crop(image: Tensor, pads: Pads) -> Tensor:
    """Undo ``pad_to_multiple``: cut ``pads`` (left, right, top, bottom) pixels off ``(..., H, W)``; a view, no copy."""
    left, right, top, bottom = pads
    height, width = image.shape[-2:]
    return image[..., top : height - bottom, left : width - right]


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


def tiles(height: int, width: int, tile: int, overlap: int, step: int = 1) -> list[Tile]:
    """Cover an image by tiles, row by row, neighbours sharing at least ``overlap`` pixels.

    The tiles are spread evenly; a side shorter than ``tile`` gets one tile of its own length.

    Args:
        step: tiles start at multiples of this, the last one of a row or column is longer by what is then left, less
            than ``step``. With the stride of a network its coarse levels meet the same pixels as in the whole image.

    Raises:
        ValueError: not 0 <= overlap <= tile / 2, or a step that is not within 1 .. tile - overlap.
    """
    if not 0 <= 2 * overlap <= tile or tile < 1:
        raise ValueError(f"need 0 <= overlap <= tile / 2, got overlap {overlap} and tile {tile}")
    if not 1 <= step <= tile - overlap:
        raise ValueError(f"need 1 <= step <= tile - overlap, got step {step}, tile {tile} and overlap {overlap}")
    return [
        Tile(top, left, tile_height, tile_width)
        for top, tile_height in _spans(height, tile, overlap, step)
        for left, tile_width in _spans(width, tile, overlap, step)
    ]


def blend_tiles(grid: Sequence[Tile], pieces: Iterable[Tensor]) -> Tensor:
    """Put the pieces of a grid together, faded into each other over their overlaps so that no seam is seen.

    Only one piece is held at a time, so ``pieces`` may be a generator. The weights are products of one row and one
    column profile, scaled beforehand to sum to one everywhere: no full-size weight map and no division at the end.

    Args:
        grid: what ``tiles`` returned.
        pieces: one ``(..., h, w)`` for each tile, in the order of the grid.

    Returns:
        ``(..., H, W)`` float32 on the device of the first piece.

    Raises:
        ValueError: fewer or more pieces than tiles, or a piece of another size than its tile.
    """
    rows = _profiles([(tile.top, tile.height) for tile in grid])
    columns = _profiles([(tile.left, tile.width) for tile in grid])
    height, width = (max(start + len(profile) for start, profile in axis.items()) for axis in (rows, columns))
    total: Tensor | None = None
    for tile, piece in zip(grid, pieces, strict=True):
        if tuple(piece.shape[-2:]) != (tile.height, tile.width):
            raise ValueError(f"piece of {tuple(piece.shape)} does not fit {tile}")
        if total is None:
            total = torch.zeros(*piece.shape[:-2], height, width, device=piece.device)
        weight = torch.outer(rows[tile.top], columns[tile.left]).to(piece.device)
        tile.cut(total).addcmul_(piece.float(), weight)
    if total is None:
        raise ValueError("no tile to blend")
    return total


@torch.no_grad()
def fuse_tiled(
    function: Callable[..., Tensor], tensors: Sequence[Tensor], tile: int, overlap: int, multiple: int = 1
) -> Tensor:
    """Apply ``function`` to an image of any size, tile by tile, and blend the results. For inference: no gradient.

    The memory needed beyond the inputs is one float32 output and whatever ``function`` takes for one tile. An image
    that fits into one tile is passed whole.

    Args:
        function: takes one tile of each tensor and returns ``(B, C', h, w)`` of the same height and width.
        tensors: ``(B, C, H, W)`` each, channels free, one height and width.
        tile: side of a tile in pixels, before padding.
        overlap: least number of pixels that neighbouring tiles share; more than the reach of the network hides seams.
        multiple: each tile starts at a multiple of this, is padded to one before ``function`` and cut back after it.

    Raises:
        ValueError: the tensors differ in height or width, or the tile and overlap do not fit together.
    """
    height, width = tensors[0].shape[-2:]
    if any(tuple(tensor.shape[-2:]) != (height, width) for tensor in tensors):
        raise ValueError(f"tensors of one height and width are needed, got {[tuple(t.shape) for t in tensors]}")

    def one(part: Tile) -> Tensor:
        padded = [pad_to_multiple(part.cut(tensor), multiple) for tensor in tensors]
        return crop(function(*(image for image, _ in padded)), padded[0][1])

    grid = tiles(height, width, tile, overlap, multiple)
    return one(grid[0]) if len(grid) == 1 else blend_tiles(grid, (one(part) for part in grid))


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
    grid = tiles(height, width, tile, 0, step)
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


def _spans(length: int, tile: int, overlap: int, step: int) -> list[tuple[int, int]]:
    """Start and length of every tile along one side."""
    last = (length - tile) // step * step
    if last <= 0:
        return [(0, length)]
    gaps = math.ceil(last / ((tile - overlap) // step * step))
    starts = [index * last // gaps // step * step for index in range(gaps)]
    return [*((start, tile) for start in starts), (last, length - last)]


def _profiles(spans: Sequence[tuple[int, int]]) -> dict[int, Tensor]:
    """1-D weights for each distinct (start, length): raised-cosine ramps over the overlaps, summing to one."""
    ordered = sorted(set(spans))
    total = torch.zeros(max(start + length for start, length in ordered), dtype=torch.float64)
    profiles = {}
    for index, (start, length) in enumerate(ordered):
        weight = torch.ones(length, dtype=torch.float64)
        if index > 0:
            previous, previous_length = ordered[index - 1]
            weight *= _ramp(previous + previous_length - start, length)
        if index + 1 < len(ordered):
            weight *= _ramp(start + length - ordered[index + 1][0], length).flip(0)
        profiles[start] = weight
        total[start : start + length] += weight
    return {start: (weight / total[start : start + len(weight)]).float() for start, weight in profiles.items()}


def _ramp(overlap: int, length: int) -> Tensor:
    rise = torch.sin((torch.arange(overlap, dtype=torch.float64) + 0.5) / max(overlap, 1) * (math.pi / 2)) ** 2
    return torch.cat([rise, torch.ones(length - overlap, dtype=torch.float64)])

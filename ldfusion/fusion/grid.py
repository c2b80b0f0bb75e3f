"""The fused image as a smooth grid of coefficients over a fixed basis of both images.

A network that predicts pixels can paint blobs, halos and grey washes. Here it predicts a bilateral grid (Chen, Paris
and Durand 2007; Gharbi et al. 2017): coefficients over position, visible luma and infrared, about a thousand cells for
the whole picture. At full size they are sliced and weigh a basis made of the two images alone, so edges are as sharp as
the sources', nothing appears that neither source has, and the network's cost does not depend on the image's size.

The two range axes are added, c = a(x, y, Y) + b(x, y, I), rather than multiplied out: two trilinear look-ups in place
of one quadrilinear one. What depends on both images at once is left to the basis.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.color import rgb_to_ycbcr, ycbcr_to_rgb
from ldfusion.io.size import filter_tiled

BASIS = ("1", "Y", "I", "max(Y, I)", "Y fine", "I fine", "Y coarse", "I coarse", "stronger fine", "stronger coarse")
"""What the fused luma is made of. Fine detail is what a mean over 3x3 pixels takes away, coarse detail what one over
9x9 takes away beyond it; the stronger of two details is the one of larger magnitude, sign kept."""
COEFFICIENTS = len(BASIS) + 1
"""One for each function of the basis, and the gain of the visible image's chroma."""
AXES = 2
"""Range axes: visible luma, infrared."""
START = {"max(Y, I)": 1.0, "stronger fine": 0.3, "stronger coarse": 0.3, "chroma": 1.0}
"""Coefficients of an untrained decoder, 0 for the others: the brighter source, a little sharper, in visible colours."""
TILE = 256
"""Side in pixels of the tiles that a picture is made in: what is sliced for one of them stays in the cache."""
KNEES = 0.02, 0.05
"""Widths of the bands at black and at white in which the fused luma bends towards the limit, instead of being cut."""
_REACH = 4  # pixels that the means over 9x9 pixels look away


def basis(luma_: Tensor, infrared: Tensor) -> tuple[Tensor, Tensor]:
    """The functions of `BASIS` and the guides of the range axes.

    Args:
        luma_, infrared: (B, 1, H, W) in [0, 1].

    Returns:
        (B, len(BASIS), H, W), and the guides (B, 2, H, W) in [0, 1]: both images averaged over 3x3 pixels, so that
        noise is not amplified by coefficients that follow it.
    """
    functions, near = _functions(luma_, infrared)
    return torch.cat([torch.ones_like(luma_), *functions], dim=1), near


def positions(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Vertical and horizontal position of every pixel centre, (1, 1, H, W) in (-1, 1), as views without memory."""
    y, x = ((torch.arange(n, device=like.device, dtype=torch.float32) + 0.5) / n * 2 - 1 for n in (height, width))
    return y[:, None].expand(1, 1, height, width), x.expand(1, 1, height, width)


def slice_grid(grid: Tensor, guides: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Coefficients of every pixel: trilinear in position and each guide, summed over the range axes.

    Args:
        grid: (B, AXES, K, R, h, w); cell centres are spread evenly over the picture, range nodes over [0, 1] with one
            at each end.
        guides: (B, AXES, H, W) in [0, 1].
        y, x: `positions` (1, 1, H, W): of whole rows and columns of pixels.

    Returns:
        (B, K, H, W).
    """
    b, axes, k, nodes, h, _ = grid.shape
    v = ((y[0, 0, :, 0] + 1) * (h / 2) - 0.5).clamp(0, h - 1)
    above = v.floor().clamp_max(max(h - 2, 0))
    # between the rows first: what is left is two-dimensional for every row of pixels, and `grid_sample` is several
    # times faster over two dimensions than over three
    cells = grid.movedim(4, 0).contiguous()
    first, second = above.long(), (above.long() + 1).clamp_max(h - 1)
    share = (v - above).to(grid.dtype)[:, None, None, None, None, None]
    rows = torch.lerp(cells.index_select(0, first), cells.index_select(0, second), share)
    # grid_sample puts the first and the last node half a step inside of [-1, 1]
    z = ((guides.to(grid.dtype) * 2 - 1) * (1 - 1 / nodes)).permute(2, 0, 1, 3)
    where = torch.stack([x[0, 0, 0].to(z.dtype).expand_as(z), z], dim=-1).flatten(0, 2)[:, None]
    sliced = F.grid_sample(rows.flatten(0, 2), where, "bilinear", "border", align_corners=False)
    along_luma, along_infrared = sliced.view(-1, b, axes, k, x.shape[-1]).unbind(dim=2)
    return (along_luma + along_infrared).permute(1, 2, 0, 3)


def columns(grid: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The columns of a grid that a part of the picture looks at, and the positions in them.

    Args:
        grid: (B, AXES, K, R, h, w).
        x: horizontal `positions` (1, 1, H, W) of the part.

    Returns:
        The grid's view (B, AXES, K, R, h, w'), and positions (1, 1, H, W) that find the same coefficients there.
    """
    w = grid.shape[-1]
    u = ((x[0, 0, 0] + 1) * (w / 2) - 0.5).clamp(0, w - 1)
    first, last = int(u[0]), min(int(u[-1]) + 1, w - 1)
    count = last - first + 1
    return grid[..., first : last + 1], ((u - first + 0.5) * (2 / count) - 1).expand_as(x)


def apply_grid(
    grid: Tensor, visible: Tensor, infrared: Tensor, position: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """The picture that a grid makes of a pair, differentiable.

    Args:
        grid: (B, AXES, COEFFICIENTS, R, h, w).
        visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
        position: of the pixels, see `positions`; by default the images are the whole picture.

    Returns:
        Colour image (B, 3, H, W) around [0, 1], not clamped.
    """
    ycbcr = rgb_to_ycbcr(visible)
    functions, guides = _functions(ycbcr[:, :1], infrared)
    y, x = position or positions(int(visible.shape[-2]), int(visible.shape[-1]), visible)
    coefficients = slice_grid(grid, guides, y, x)
    # term by term: no copy of the whole basis, nor of its products
    fused, *factors = coefficients[:, :-1].split(1, dim=1)
    for factor, function in zip(factors, functions, strict=True):
        fused = torch.addcmul(fused, factor, function)
    chroma = coefficients[:, -1:] * (ycbcr[:, 1:] - 0.5) + 0.5
    return ycbcr_to_rgb(torch.cat([roll_off(fused), chroma], dim=1))


def roll_off(luma_: Tensor) -> Tensor:
    """Bends what leaves [0, 1] back into it, as the toe and the shoulder of a film do (ours).

    Inside of the bands `KNEES` at both ends nothing changes; beyond them x becomes k x / sqrt(k^2 + x^2), which is
    smooth, keeps the order of the grey values and never reaches the limit: texture there is squeezed, not lost.

    Args:
        luma_: any shape, any values.
    """
    low, high = KNEES
    below, above = torch.relu(low - luma_), torch.relu(luma_ - (1 - high))
    return luma_ + below - above - _bent(below, low) + _bent(above, high)


@torch.no_grad()
def apply_tiled(grid: Tensor, visible: Tensor, infrared: Tensor, tile: int = TILE) -> Tensor:
    """`apply_grid` clamped to [0, 1], tile by tile: the same picture, with memory for one tile beside it.

    Args:
        grid: (B, AXES, COEFFICIENTS, R, h, w).
        visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
        tile: side of a tile in pixels.

    Returns:
        (B, 3, H, W) in [0, 1].
    """

    def run(visible: Tensor, infrared: Tensor, y: Tensor, x: Tensor) -> Tensor:
        seen, x = columns(grid, x)
        return apply_grid(seen, visible, infrared, (y, x)).clamp_(0, 1)

    position = positions(int(visible.shape[-2]), int(visible.shape[-1]), visible)
    return filter_tiled(run, [visible, infrared, *position], tile, _REACH)


def starting_coefficients() -> Tensor:
    """`START` as a vector (COEFFICIENTS,)."""
    return torch.tensor([START.get(name, 0.0) for name in (*BASIS, "chroma")])


def _functions(luma_: Tensor, infrared: Tensor) -> tuple[list[Tensor], Tensor]:
    """`basis` without its constant, one tensor (B, 1, H, W) each."""
    both = torch.cat([luma_, infrared], dim=1)
    near, wide = _means(both)
    fine, coarse = both - near, near - wide
    parts = (both, torch.maximum(luma_, infrared), fine, coarse, _stronger(fine), _stronger(coarse))
    return [function for part in parts for function in part.split(1, dim=1)], near


def _bent(beyond: Tensor, knee: float) -> Tensor:
    return beyond * (1 + (beyond / knee).square()).rsqrt()


def _means(image: Tensor) -> tuple[Tensor, Tensor]:
    """Means over 3x3 and 9x9 pixels, the border repeated; sums of shifted copies, a tenth of the time of pooling."""
    wide = F.pad(image, (4, 4, 4, 4), mode="replicate")
    rows = _three(wide, -1, 1)
    near = _three(rows[..., 3:-3, 3:-3], -2, 1)
    wide = _three(_three(_three(rows, -1, 3), -2, 1), -2, 3)
    return near.mul_(1 / 9), wide.mul_(1 / 81)


def _three(image: Tensor, dim: int, step: int) -> Tensor:
    """Sums of three values ``step`` apart along a dimension, which gets shorter by two steps."""
    length = image.shape[dim] - 2 * step
    first, second, third = (image.narrow(dim, k * step, length) for k in range(3))
    return (first + second).add_(third)


def _stronger(details: Tensor) -> Tensor:
    first, second = details[:, :1], details[:, 1:]
    return torch.where(first.abs() >= second.abs(), first, second)

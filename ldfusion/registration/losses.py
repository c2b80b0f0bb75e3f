"""Losses of the registration networks.

Similarities of two images ``(B, C, H, W)``, a smoothness of a flow ``(B, 2, H, W)``, and two losses against a known
transform. All return one value a sample, ``(B,)``; less is better. Sources: the registration papers' mean squared error
and smoothness; VoxelMorph (Balakrishnan et al. 2019) for the local correlation, Dice and the gradient penalty.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

NCC_WINDOW = 9
_EPSILON = 1e-5


def mse(warped: Tensor, fixed: Tensor) -> Tensor:
    """Mean squared difference."""
    return (warped - fixed).square().flatten(1).mean(1)


def ncc(warped: Tensor, fixed: Tensor, window: int = NCC_WINDOW) -> Tensor:
    """Minus the mean squared correlation in windows of ``window`` x ``window`` pixels, -1 (linear relation) to 0.

    ``cross^2 / (var var + 1e-5)`` from sums over the window, zeros beyond the border, each channel for itself.
    """

    def total(image: Tensor) -> Tensor:
        # a mean over all pixels of the window, padding included, times their number is the sum
        return F.avg_pool2d(image, window, 1, window // 2, count_include_pad=True) * window**2

    n = float(window**2)
    # an offset common to a whole image does not change a correlation, but it costs float32 its digits
    a = warped - warped.mean((-2, -1), keepdim=True)
    b = fixed - fixed.mean((-2, -1), keepdim=True)
    sum_a, sum_b = total(a), total(b)
    cross = total(a * b) - sum_a * sum_b / n
    variance_a = (total(a * a) - sum_a.square() / n).clamp_min(0)
    variance_b = (total(b * b) - sum_b.square() / n).clamp_min(0)
    return -(cross.square() / (variance_a * variance_b + _EPSILON)).flatten(1).mean(1)


def dice(warped: Tensor, fixed: Tensor) -> Tensor:
    """Minus the Dice overlap ``2 |A B| / max(|A + B|, 1e-5)`` of masks in [0, 1], mean over the channels; -1 to 0."""
    overlap = 2 * (warped * fixed).sum((-2, -1))
    size = (warped + fixed).sum((-2, -1)).clamp_min(_EPSILON)
    return -(overlap / size).mean(1)


def smoothness(flow: Tensor, penalty: Literal["l1", "l2"] = "l2") -> Tensor:
    """Mean absolute (l1) or squared (l2) forward difference of a flow along each axis, the mean of both axes."""
    dy, dx = flow.diff(dim=-2).abs(), flow.diff(dim=-1).abs()
    if penalty == "l2":
        dy, dx = dy.square(), dx.square()
    return (dy.flatten(1).mean(1) + dx.flatten(1).mean(1)) / 2


SIMILARITIES = {"mse": mse, "ncc": ncc, "dice": dice}
"""Name of the unsupervised loss of a configuration -> function."""


def point_error(predicted: Tensor, true: Tensor, seen: Tensor | None = None, soft: float = 0.0) -> Tensor:
    """Mean distance of sampling points, in their unit.

    With a few points of an affine prediction this is the corner (grid) error, with a point a pixel the end-point error
    of a flow.

    Args:
        predicted: ``(B, N, 2)``.
        true: ``(B, N, 2)``.
        seen: ``(B, N)`` weights, for instance 0 where the true point lies outside of the moving image.
        soft: added in the square root (Charbonnier), so that the gradient at no error is defined; 0 gives the error.
    """
    squared = (predicted - true).square().sum(-1)
    distance = (squared + soft**2).sqrt()
    if seen is None:
        return distance.mean(1)
    weight = seen.to(distance.dtype)
    return (distance * weight).sum(1) / weight.sum(1).clamp_min(1)


def grid_points(size: tuple[int, int], steps: int, device: torch.device | None = None) -> Tensor:
    """``(steps^2, 2)`` pixels (x, y), evenly spread over an image of (height, width), its corners included."""
    height, width = size
    y, x = torch.meshgrid(
        torch.linspace(0, height - 1, steps, device=device),
        torch.linspace(0, width - 1, steps, device=device),
        indexing="ij",
    )
    return torch.stack([x, y], dim=-1).view(-1, 2)


def project(matrices: Tensor, points: Tensor) -> Tensor:
    """Points (N, 2) through homographies (B, 3, 3): ``(B, N, 2)``, in the precision of the matrices."""
    homogeneous = F.pad(points.to(matrices.dtype), (0, 1), value=1.0) @ matrices.transpose(1, 2)
    return homogeneous[..., :2] / homogeneous[..., 2:]

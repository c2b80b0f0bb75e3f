"""The one warp of the project: backward, bilinear, ``align_corners=True``.

``warped(x) = moving(M^-1 x)`` for a matrix M that takes moving pixels to fixed pixels, pixel centres at integers, and
``warped(x) = moving(x + flow(x))`` for a flow in pixels, (x, y) order. A fixed pixel is valid where its whole bilinear
footprint lies inside the moving image; what is put elsewhere is the caller's choice (see `registration.align`).

Normalised coordinates run from -1 at the centre of the first pixel to 1 at the centre of the last one, as
`torch.nn.functional.grid_sample` has them with ``align_corners=True``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ldfusion.types import Registration

Matrix = NDArray[np.float64]
Size = tuple[int, int]
"""(height, width)"""

_EDGE = 1e-3
"""Pixels by which a sampling point may lie outside and still count: rounding of a point on the border."""


def resize_matrix(moving: Size, fixed: Size) -> Matrix:
    """The matrix of a plain resize, which aligns the outer edges of both images: what is done without registration."""
    sx, sy = fixed[1] / moving[1], fixed[0] / moving[0]
    return np.array([[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5], [0, 0, 1]])


def transform_points(matrix: Matrix, points: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 2) points (x, y) through a 3x3 matrix; float64 (N, 2), not finite where a point goes to infinity."""
    homogeneous = np.column_stack([np.asarray(points, np.float64), np.ones(len(points))]) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[np.float64] = homogeneous[:, :2] / homogeneous[:, 2:]
    return result


def apart(first: Matrix, second: Matrix, moving: Size) -> float:
    """Mean distance between where two transforms put the corners of the infrared frame, visible pixels."""
    places = [transform_points(matrix, corners(moving)) for matrix in (first, second)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).mean())


def apart_inside(first: Matrix, second: Matrix, moving: Size, fixed: Size) -> float:
    """Mean distance between two transforms over the visible pixels that the infrared image covers by the second one.

    Corners of a frame that reaches far beyond the visible image do not count. Infinite where nothing is covered.
    """
    x, y = np.meshgrid(*(np.linspace(0, side - 1, 17) for side in (fixed[1], fixed[0])))
    points = np.column_stack([x.ravel(), y.ravel()])
    seen = transform_points(invert(second), points)
    inner = ((seen >= -0.5) & (seen <= np.array(moving[::-1]) - 0.5)).all(1)
    if not inner.any():
        return float("inf")
    distance = np.linalg.norm(transform_points(first, seen[inner]) - points[inner], axis=1)
    return float(distance.mean()) if np.isfinite(distance).all() else float("inf")


def mean_transform(matrices: Sequence[Matrix], moving: Size) -> Matrix:
    """The transform that puts every corner of the moving frame at the mean of where the given ones put it.

    Args:
        matrices: homographies (3, 3), moving -> fixed pixels; of affine ones the mean is affine.
        moving: (height, width) of the moving image.
    """
    if all(not matrix[2, :2].any() for matrix in matrices):
        return np.asarray(np.mean([matrix / matrix[2, 2] for matrix in matrices], axis=0))
    points = corners(moving)
    places = np.mean([transform_points(matrix, points) for matrix in matrices], axis=0)
    mean: Matrix = cv2.getPerspectiveTransform(points.astype(np.float32), places.astype(np.float32)).astype(np.float64)
    return mean / mean[2, 2]


def corners(size: Size) -> NDArray[np.float64]:
    """(4, 2) centres (x, y) of the corner pixels of an image, clockwise from the top left."""
    height, width = size
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=np.float64)


def invert(matrix: Matrix) -> Matrix:
    """The inverse, scaled so that its last entry is 1."""
    inverse = np.linalg.inv(matrix)
    return np.asarray(inverse / inverse[2, 2], dtype=np.float64)


def _normaliser(size: Size) -> Matrix:
    """Pixels -> normalised coordinates."""
    height, width = size
    return np.array([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])


def matrix_to_theta(matrix: Matrix, moving: Size, fixed: Size) -> Matrix:
    """A moving -> fixed pixel matrix as (3, 3) theta: normalised fixed -> normalised moving coordinates.

    The first two rows of an affine one are what `torch.nn.functional.affine_grid` takes (``align_corners=True``).
    """
    theta = _normaliser(moving) @ np.linalg.inv(matrix) @ np.linalg.inv(_normaliser(fixed))
    return np.asarray(theta / theta[2, 2], dtype=np.float64)


def theta_to_matrix(theta: NDArray[Any], moving: Size, fixed: Size) -> Matrix:
    """Inverse of `matrix_to_theta`; a (2, 3) theta, as affine networks predict it, is completed by (0, 0, 1)."""
    full = np.vstack([theta, [0, 0, 1]]) if theta.shape == (2, 3) else np.asarray(theta)
    return invert(np.linalg.inv(_normaliser(moving)) @ full.astype(np.float64) @ _normaliser(fixed))


def sampling_points(matrix: Matrix, size: Size, device: torch.device | None = None) -> Tensor:
    """(H, W, 2) float32: for every fixed pixel the moving pixel (x, y) that it shows; NaN behind the plane at infinity.

    Computed in float64, since a perspective division of float32 pixels would be off by hundredths of a pixel.
    """
    height, width = size
    backward = torch.from_numpy(np.linalg.inv(matrix)).to(device)
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64, device=device),
        torch.arange(width, dtype=torch.float64, device=device),
        indexing="ij",
    )
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in backward)
    # w is the reciprocal of what the forward matrix divides by, which is positive on the side of the moving image
    w = torch.where(w * float(np.sign(matrix[2, 2])) > 1e-9, w, torch.nan)
    return torch.stack([u / w, v / w], dim=-1).float()


def matrix_to_flow(matrix: Matrix, size: Size) -> Tensor:
    """(2, H, W) float32 backward displacement (x, y) of a matrix on the fixed grid."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (sampling_points(matrix, size) - torch.stack([x, y], dim=-1)).permute(2, 0, 1)


def flow_points(flow: Tensor) -> Tensor:
    """(2, H, W) or (B, 2, H, W) flow -> (..., H, W, 2) sampling points in moving pixels."""
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    return flow.movedim(-3, -1) + torch.stack([x, y], dim=-1)


def inside(points: Tensor, moving: Size) -> Tensor:
    """(..., H, W) bool: which sampling points (..., H, W, 2) lie within the moving image; NaN does not."""
    x, y = points.unbind(-1)
    height, width = moving
    return (x >= -_EDGE) & (y >= -_EDGE) & (x <= width - 1 + _EDGE) & (y <= height - 1 + _EDGE)


def sample(image: Tensor, points: Tensor, mode: str = "bilinear") -> Tensor:
    """Values of (B, C, h, w) at (H, W, 2) or (B, H, W, 2) pixel points; outside, the border is repeated.

    Args:
        mode: ``bilinear``, or ``bicubic``, which keeps more of the detail and may pass the range of the image.
    """
    height, width = image.shape[-2:]
    scale = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=points.device)
    grid = torch.nan_to_num(points * scale - 1, nan=-2.0)
    grid = grid.expand(image.shape[0], -1, -1, -1) if grid.ndim == 3 else grid
    return F.grid_sample(image, grid.to(image.dtype), mode=mode, padding_mode="border", align_corners=True)


def warp_image(image: Tensor, matrix: Matrix, size: Size) -> Tensor:
    """Warp by a matrix.

    Args:
        image: moving image (B, C, h, w), float.
        matrix: (3, 3), moving pixels -> fixed pixels.
        size: (H, W) of the fixed image.

    Returns:
        (B, C, H, W); pixels outside the moving image repeat its border, `valid_mask` says which those are.
    """
    return sample(image, sampling_points(matrix, size, image.device))


def warp_flow(image: Tensor, flow: Tensor) -> Tensor:
    """Warp (B, C, h, w) by a backward flow (2, H, W) or (B, 2, H, W) in moving pixels; the border as `warp_image`."""
    return sample(image, flow_points(flow))


def valid_mask(matrix: Matrix, moving: Size, size: Size) -> Tensor:
    """(1, 1, H, W) bool: fixed pixels that the moving image covers."""
    return inside(sampling_points(matrix, size), moving)[None, None]


def registration_points(registration: Registration, size: Size) -> Tensor:
    """(H, W, 2) sampling points of a registration on a fixed grid of ``size``.

    Raises:
        ValueError: a flow of another size.
    """
    if registration.flow is None:
        return sampling_points(registration.matrix, size)
    if tuple(registration.flow.shape[-2:]) != tuple(size):
        raise ValueError(f"the flow is {tuple(registration.flow.shape[-2:])}, the visible image {tuple(size)}")
    return flow_points(registration.flow)


def apply_registration(registration: Registration, infrared: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Warp the infrared image (B, C, h, w) onto the visible grid, bilinearly.

    Returns:
        (B, C, H, W), border repeated outside, and the (1, 1, H, W) bool mask of the pixels it covers.
    """
    points = registration_points(registration, size)
    mask = inside(points, (infrared.shape[-2], infrared.shape[-1]))[None, None]
    return sample(infrared, points.to(infrared.device)), mask

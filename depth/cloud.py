"""Point clouds from depth: back-projection through a pinhole camera, and binary PLY files.

Camera frame: x to the right, y down, z forwards along the optical axis (the convention of OpenCV and ROS optical
frames). Depth is measured along z. Pixels are square, the principal point is the centre of the image.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from depth.files import write_whole

NEAR_FAR_RATIO = 20.0
PERCENTILES = (0.005, 0.995)


def relative_depth(inverse: Tensor, near_far_ratio: float = NEAR_FAR_RATIO) -> Tensor:
    """A plausible depth from relative inverse depth, whose scale and shift nobody knows.

    The map is brought to [0, 1] between its 0.5 % and 99.5 % quantiles, n, and depth = 1 / (n + (1 - n) / ratio): the
    nearest pixels lie at 1, the farthest at ``near_far_ratio``. Straight lines and planes come out right only when the
    true ratio is near the assumed one.

    Args:
        inverse: ``(H, W)``, near = large.
        near_far_ratio: farthest over nearest depth of the scene, > 1.

    Returns:
        ``(H, W)`` in [1, near_far_ratio], without unit.

    Raises:
        ValueError: a ratio that is not above 1.
    """
    if near_far_ratio <= 1:
        raise ValueError(f"near_far_ratio {near_far_ratio} must be larger than 1")
    ordered = inverse.flatten().sort().values  # torch.quantile refuses maps above 16 megapixels
    low, high = (ordered[round(q * (len(ordered) - 1))] for q in PERCENTILES)
    nearness = ((inverse - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return 1 / (nearness + (1 - nearness) / near_far_ratio)


def point_cloud(
    inverse: Tensor,
    image: Tensor,
    fov_degrees: float = 60.0,
    *,
    metric: bool = False,
    near_far_ratio: float = NEAR_FAR_RATIO,
    edge: float | None = 0.1,
) -> tuple[Tensor, Tensor]:
    """The visible surface as coloured points.

    Args:
        inverse: inverse depth of one image, ``(1, H, W)`` or ``(H, W)``; 1 / metres when ``metric``.
        image: its colours ``(3, H, W)`` or ``(1, H, W)`` in [0, 1].
        fov_degrees: horizontal field of view of the camera.
        metric: the points come out in metres; otherwise ``relative_depth`` gives them a shape without unit.
        near_far_ratio: see ``relative_depth``; unused when metric.
        edge: pixels whose depth differs from a neighbour's by more than this share are left out: between a near and a
            far surface the map is a blend that belongs to neither. None keeps all.

    Returns:
        points ``(N, 3)`` float32 in the camera frame of this file, colours ``(N, 3)`` uint8.

    Raises:
        ValueError: the field of view is not within (0, 180), or the sizes differ.
    """
    if not 0 < fov_degrees < 180:
        raise ValueError(f"field of view {fov_degrees} degrees: give a horizontal angle between 0 and 180")
    if inverse.shape[-2:] != image.shape[-2:] or image.ndim != 3:
        raise ValueError(f"image {tuple(image.shape)} and depth {tuple(inverse.shape)} must be (C, H, W) of one size")
    inverse = inverse.detach().float().reshape(inverse.shape[-2:])
    height, width = inverse.shape
    valid = inverse.isfinite() & ((inverse > 0) if metric else (inverse >= 0))
    inverse = torch.where(valid, inverse, torch.zeros_like(inverse))
    depth = (
        1 / inverse.clamp_min(torch.finfo(inverse.dtype).tiny) if metric else relative_depth(inverse, near_far_ratio)
    )
    if edge is not None:
        padded = F.pad(depth[None, None], (1, 1, 1, 1), mode="replicate")
        nearest, farthest = -F.max_pool2d(-padded, 3, 1)[0, 0], F.max_pool2d(padded, 3, 1)[0, 0]
        valid = valid & (torch.maximum(farthest - depth, depth - nearest) <= edge * depth)

    focal = width / 2 / math.tan(math.radians(fov_degrees) / 2)  # pixels
    x = torch.arange(width, device=depth.device) + 0.5 - width / 2
    y = torch.arange(height, device=depth.device) + 0.5 - height / 2
    points = torch.stack((x * depth / focal, y[:, None] * depth / focal, depth), -1)
    colors = image.detach().float().expand(3, -1, -1).permute(1, 2, 0).clamp(0, 1).mul(255).round().byte()
    return points[valid], colors[valid]


def write_ply(path: str | Path, points: Tensor, colors: Tensor, unit: str = "none (relative)") -> Path:
    """Write coloured points as a binary little-endian PLY file, whole or not at all.

    Args:
        path: the file; its folder is made if missing.
        points: ``(N, 3)``.
        colors: ``(N, 3)`` uint8.
        unit: of the coordinates, written into the header: "metres", or the default.

    Raises:
        ValueError: the shapes differ.
        OSError: the file cannot be written.
    """
    if points.shape != colors.shape or points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points {tuple(points.shape)} and colors {tuple(colors.shape)} must both be (N, 3)")
    vertices = np.empty(len(points), dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])
    vertices["xyz"] = points.detach().float().cpu().numpy()
    vertices["rgb"] = colors.cpu().numpy()
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment camera frame: x right, y down, z forwards",
        f"comment unit: {unit}",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {channel}" for channel in ("red", "green", "blue")),
        "end_header\n",
    ]
    path = Path(path)
    write_whole(path, "\n".join(header).encode("ascii") + vertices.tobytes())
    return path

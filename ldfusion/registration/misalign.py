"""Known misalignments of registered pairs: the one sampler that training and the benchmarks draw from.

A matrix maps pixels of the moving (infrared) image to pixels of the fixed (visible) one, pixel centres at integers, as
everywhere in this package. The pair is cut out of a larger registered frame, so that the moving image is filled with
real content to its borders: empty corners would show the transform to a network, and to nobody in the field.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class MisalignmentRange:
    """How far a random misalignment may go; every quantity is drawn uniformly (scale and aspect: their logarithm).

    Attributes:
        rotation: largest angle either way, degrees.
        scale: least and largest magnification of the moving image on the fixed one.
        shift: largest displacement of the centre either way, as a part of the width (x) and of the height (y).
        perspective: largest change of the homography's denominator from the centre to the middle of a side, each axis.
        aspect: least and largest ratio of the horizontal to the vertical magnification.
        offset: displacement (x, y) that all share, as parts of the width and of the height: that of a rig of two
            cameras, from pair to pair the same.
    """

    rotation: float = 10.0
    scale: tuple[float, float] = (0.85, 1.15)
    shift: float = 0.12
    perspective: float = 0.05
    aspect: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def draw(self, rng: np.random.Generator, size: tuple[int, int], strength: float = 1.0) -> Matrix:
        """A random homography (3, 3) float64, moving pixels -> fixed pixels, both images of ``size`` (height, width).

        Args:
            rng: source of the randomness; seven numbers are drawn from it whatever the ranges are.
            size: (height, width) of both images.
            strength: 0 gives the identity, 1 the full range; shrinks every quantity towards none.
        """
        u = rng.uniform(-1, 1, 7)
        height, width = size
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        angle = math.radians(self.rotation) * u[0] * strength
        scale = math.exp(_between(np.log(self.scale), u[1]) * strength)
        aspect = math.exp(_between(np.log(self.aspect), u[2]) * strength / 2)
        shift = strength * (self.shift * u[3:5] + self.offset) * (width, height)
        tilt = self.perspective * strength * u[5:7] / np.maximum(centre, 1)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        matrix = np.eye(3)
        matrix[:2, :2] = turn @ np.diag([scale * aspect, scale / aspect])
        perspective = np.eye(3)
        perspective[2, :2] = tilt
        return _translation(centre + shift) @ perspective @ matrix @ _translation(-centre)


def _between(ends: NDArray[Any], u: float) -> float:
    """The point at ``u`` in [-1, 1] of the span between two ends."""
    return float(ends[0] + (ends[1] - ends[0]) * (u + 1) / 2)


def _translation(by: NDArray[Any]) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def draw_matrices(
    seeds: Sequence[int],
    size: tuple[int, int],
    ranges: MisalignmentRange,
    strength: tuple[float, float] = (1.0, 1.0),
) -> Tensor:
    """One random homography a seed, ``(B, 3, 3)`` float64; the same seed gives the same one, in any batch.

    Args:
        seeds: any whole numbers from 0 up.
        size: (height, width) of both images.
        ranges: what is drawn.
        strength: least and largest strength, drawn for each seed.
    """
    drawn = []
    for seed in seeds:
        share = np.random.default_rng((int(seed), 1)).uniform(*strength)
        drawn.append(ranges.draw(np.random.default_rng(int(seed)), size, share))
    return torch.from_numpy(np.stack(drawn))


def cut_pair(fixed: Tensor, moving: Tensor, matrices: Tensor, window: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a misaligned pair out of a registered one.

    The fixed window is cut on whole pixels. It and the area that the moving window shows lie on both sides of the
    frame's centre at equal distances; what of the moving window still falls outside of the frame mirrors it.

    Args:
        fixed: ``(B, C, H, W)``, registered with ``moving``.
        moving: ``(B, D, H, W)``.
        matrices: ``(B, 3, 3)`` moving -> fixed pixels, drawn for images of the window's size.
        window: (height, width) of both images of the result.

    Returns:
        The fixed windows ``(B, C, h, w)``, the moving ones ``(B, D, h, w)`` bilinearly sampled, and where each fixed
        window starts in its frame: (x, y) pixels ``(B, 2)``.

    Raises:
        ValueError: sizes differ, or the window is larger than the frame.
    """
    (frame_h, frame_w), (h, w) = fixed.shape[-2:], window
    if moving.shape[-2:] != fixed.shape[-2:] or h > frame_h or w > frame_w:
        raise ValueError(
            f"fixed {tuple(fixed.shape)} and moving {tuple(moving.shape)} must be of one size that holds {h}x{w}"
        )
    matrices = matrices.to(fixed.device, torch.float64)
    rows, columns = torch.meshgrid(
        torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64), indexing="ij"
    )
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1).to(fixed.device).view(1, h * w, 3)
    seen = pixels @ matrices.transpose(1, 2)  # (B, h*w, 3): where each moving pixel lies on the fixed window
    seen = seen[..., :2] / seen[..., 2:]
    frame = torch.tensor([frame_w, frame_h], dtype=torch.float64, device=fixed.device)
    centre = torch.tensor([w - 1, h - 1], dtype=torch.float64, device=fixed.device) / 2
    middle = (seen.amin(1) + seen.amax(1)) / 2
    most = (frame - 1 - 2 * centre).clamp_min(0)
    start = ((frame - 1) / 2 - centre - (middle - centre) / 2).round().clamp_min(0).minimum(most)
    cut = [
        image[:, int(y) : int(y) + h, int(x) : int(x) + w] for image, (x, y) in zip(fixed, start.tolist(), strict=True)
    ]
    grid = 2 * (seen + start[:, None]) / (frame - 1) - 1
    sampled = F.grid_sample(
        moving,
        grid.view(-1, h, w, 2).to(moving.dtype),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=True,
    )
    return torch.stack(cut), sampled, start

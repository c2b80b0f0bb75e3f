"""Gradient ascent on the correlation of two images' edge maps, over the parameters of a transform.

Several starts climb at once, as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.registration.directions import detail

_OVERLAP = 0.5
"""Share of the visible image that must be covered for the full correlation to count."""
_STIFFNESS = (0.0, 0.0, 0.0, 0.0, 1.0, 1.5, 1.5, 1.5)
"""What a transform costs: its parameters (log aspect / 2, shear, perspective) times these, squared, in units of the
correlation. Two cameras side by side differ little in these: what the overlap does not tell should not be claimed."""


@dataclass(frozen=True)
class Level:
    """One round of the ascent.

    Attributes:
        octave: of the pyramid; each is twice as large as the one before.
        sigma: of the smoothing, pixels of that octave.
        steps: of Adam.
        rate: its first learning rate; it falls to a fifth.
        freedom: how many of the eight parameters move.
    """

    octave: int
    sigma: float
    steps: int
    rate: float
    freedom: int


def transforms(parameters: Tensor) -> Tensor:
    """(B, 8) parameters -> (B, 3, 3), visible -> infrared coordinates, both centred and in half visible widths.

    Shift x, y; angle; log scale; log aspect / 2; shear; perspective x, y. All zero is the identity.
    """
    tx, ty, angle, scale, aspect, shear, px, py = parameters.unbind(1)
    cos, sin, s = torch.cos(angle), torch.sin(angle), torch.exp(scale)
    stretch, one = torch.exp(aspect), torch.ones_like(tx)
    rows = [s * cos * stretch, shear - s * sin, tx, s * sin, s * cos / stretch, ty, px, py, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


@dataclass(frozen=True)
class Scale:
    """Both images at one octave: maps and where they hold data; the infrared at a working scale of its own."""

    fixed: Tensor
    fixed_seen: Tensor
    moving: Tensor
    moving_seen: Tensor

    def grid(self, matrices: Tensor) -> Tensor:
        """(B, H, W, 2) sampling grid on the infrared maps for centred transforms (B, 3, 3)."""
        (h, w), (mh, mw) = self.fixed.shape[-2:], self.moving.shape[-2:]
        unit = w / 2
        y, x = torch.meshgrid(
            (torch.arange(h, device=matrices.device) - (h - 1) / 2) / unit,
            (torch.arange(w, device=matrices.device) - (w - 1) / 2) / unit,
            indexing="ij",
        )
        points = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(1, -1, 3) @ matrices.transpose(1, 2)
        points = points[..., :2] / points[..., 2:].clamp_min(0.1)
        points = points * torch.tensor([2 * unit / (mw - 1), 2 * unit / (mh - 1)], device=matrices.device)
        return points.view(-1, h, w, 2)


def correlation(scale: Scale, fixed: Tensor, moving: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation (B,) of the detail maps under transforms, over the overlap, and the covered share (B,)."""
    count = len(parameters)
    grid = scale.grid(transforms(parameters))
    sampled = F.grid_sample(moving.expand(count, -1, -1, -1), grid, padding_mode="zeros", align_corners=True)
    warped, seen = sampled[:, :-1], sampled[:, -1:] * scale.fixed_seen
    warped = warped * scale.fixed_seen
    product = (warped * fixed).sum((1, 2, 3))
    energy = warped.square().sum((1, 2, 3)) * (fixed.square().sum(1, keepdim=True) * seen).sum((1, 2, 3))
    return product / (energy + 1e-9).sqrt(), seen.mean((1, 2, 3))


def climb(scale: Scale, level: Level, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Raise the correlation from each of (B, 8) parameters; the new ones and their worth (B,)."""
    fixed = detail(scale.fixed, scale.fixed_seen, level.sigma)
    moving = torch.cat([detail(scale.moving, scale.moving_seen, level.sigma), scale.moving_seen], dim=1)
    free = (torch.arange(8, device=parameters.device) < level.freedom).float()
    start = parameters.detach()
    change = torch.zeros_like(start, requires_grad=True)
    stiffness = torch.tensor(_STIFFNESS, device=start.device)
    optimizer = torch.optim.Adam([change], lr=level.rate)
    for step in range(level.steps):
        for group in optimizer.param_groups:
            group["lr"] = level.rate * (1 - 0.8 * step / level.steps)
        value, covered = correlation(scale, fixed, moving, start + change * free)
        worth = value * (covered / _OVERLAP).clamp(max=1)
        strain = ((start + change * free) * stiffness).square().sum(1)
        optimizer.zero_grad()
        (strain - worth).sum().backward()
        optimizer.step()
    with torch.no_grad():
        found = start + change * free
        value, covered = correlation(scale, fixed, moving, found)
    return found, value * (covered / _OVERLAP).clamp(max=1)

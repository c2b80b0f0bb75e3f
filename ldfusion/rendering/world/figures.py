"""Round bodies on cards: unions of tapered capsules and rings, shaded as if they were solid.

People, bicycles, lamps, signs and branches are drawn with it. The distance to a tapered capsule is that to its axis
less the interpolated radius; the normal bends over the radius, so that limbs look round although the card is flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.noise import CLUMPS, smooth
from ldfusion.rendering.world.surface import Map, Shader, Surface, Texels


@dataclass(frozen=True, slots=True)
class Part:
    """One capsule of a figure from `start` to `end` in card metres (u, v).

    `rings` gives the half width of the rim of a hollow disc (a wheel), 0 for a solid part; `order` tells which part is
    in front (larger).
    """

    start: tuple[float, float]
    end: tuple[float, float]
    radius: tuple[float, float]
    color: tuple[float, float, float]
    warmth: float = 0.0
    order: float = 0.0
    ring: float = 0.0
    glow: tuple[float, float, float] | None = None


def extent(parts: Sequence[Part], margin: float = 0.03) -> tuple[float, float, float, float]:
    """Bounding box (u_min, u_max, v_min, v_max) of the parts."""
    points = np.array([point for part in parts for point in (part.start, part.end)])
    radii = np.array([radius + part.ring for part in parts for radius in part.radius])[:, None]
    low, high = (points - radii).min(0) - margin, (points + radii).max(0) + margin
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def figure(parts: Sequence[Part], folds: float = 0.0, solar: float = 2.0, limb: float = 0.25) -> Shader:
    """A surface made of parts.

    Args:
        folds: strength of cloth folds in the brightness.
        solar: heating by the sun [K].
        limb: share of its warmth that a part loses towards its rim.
    """
    ordered = sorted(parts, key=lambda part: part.order)
    tops = np.array([max(p.start[1] + p.radius[0], p.end[1] + p.radius[1]) + p.ring for p in ordered])
    bottoms = np.array([min(p.start[1] - p.radius[0], p.end[1] - p.radius[1]) - p.ring for p in ordered])
    tables = _Tables(ordered)

    def shade(at: Texels) -> Surface:
        # Rows are taken in bands, so that each meets only the parts at its height.
        height, width = at.u.shape
        out = np.zeros((7 if tables.glow is None else 10, height, width), np.float32)
        for start in range(0, height, _BAND):
            rows = slice(start, start + _BAND)
            size = np.maximum(at.du[rows], at.dv[rows])
            low, high, margin = float(at.v[rows].min()), float(at.v[rows].max()), float(size.max())
            near = np.flatnonzero((tops > low - margin) & (bottoms < high + margin))
            if near.size:
                tables.draw(out[:, rows], near, at.u[rows], at.v[rows], size)
        color = out[:3]
        if folds > 0:
            color *= 1 + folds * np.clip(smooth(at.u, at.v * 0.6, 0.02, CLUMPS), -2, 2)
        rim = np.minimum(out[4] ** 2 + out[5] ** 2, 1)
        return Surface(
            (color[0], color[1], color[2]),
            warmth=out[3] * (1 - limb * rim),
            solar=solar,
            emission=None if tables.glow is None else (out[7], out[8], out[9]),
            bend=(0.93 * out[4], 0.93 * out[5]),
            alpha=out[6],
        )

    return shade


_BAND = 24


class _Tables:
    """Parts as arrays, the rearmost first."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.start = np.array([part.start for part in parts], np.float32)
        self.axis = np.array([part.end for part in parts], np.float32) - self.start
        self.scale = 1 / np.maximum((self.axis**2).sum(1), 1e-8)
        self.radius = np.array([part.radius for part in parts], np.float32)
        self.ring = np.array([part.ring for part in parts], np.float32)
        self.color = np.array([part.color for part in parts], np.float32).T
        self.warmth = np.array([part.warmth for part in parts], np.float32)
        self.glow: NDArray[np.float32] | None = None
        if any(part.glow for part in parts):
            self.glow = np.array([part.glow or (0, 0, 0) for part in parts], np.float32).T

    def draw(self, out: Map, near: NDArray[np.intp], u: Map, v: Map, size: Map) -> None:
        """Fills (7 or 10, h, w): colour, warmth, bend along u and v, alpha, glow; from the parts `near`."""

        def column(values: NDArray[np.float32]) -> Map:
            return values[near][:, None, None]

        pu, pv = u - column(self.start[:, 0]), v - column(self.start[:, 1])
        au, av = column(self.axis[:, 0]), column(self.axis[:, 1])
        along = np.clip((pu * au + pv * av) * column(self.scale), 0, 1)
        pu -= along * au
        pv -= along * av
        radius = column(self.radius[:, 0]) + along * column(self.radius[:, 1] - self.radius[:, 0])
        distance = np.sqrt(pu * pu + pv * pv) - radius
        ring = column(self.ring)
        if ring.any():
            distance = np.where(ring > 0, np.abs(distance) - ring, distance)
        rank = np.arange(1, near.size + 1, dtype=np.float32)[:, None, None]
        chosen = np.where(distance < 0.4 * size, rank, -np.maximum(distance, 0)).argmax(0)
        inverse = 1 / np.maximum(np.take_along_axis(radius, chosen[None], 0)[0], 1e-3)
        out[4] = np.take_along_axis(pu, chosen[None], 0)[0] * inverse
        out[5] = np.take_along_axis(pv, chosen[None], 0)[0] * inverse
        # The silhouette is that of all parts, so that joints show no gap.
        out[6] = np.clip(0.5 - distance.min(0) / np.maximum(size, 1e-4), 0, 1)
        index = near[chosen]
        out[3] = self.warmth[index]
        np.take(self.color, index, axis=1, out=out[:3])
        if self.glow is not None:
            np.take(self.glow, index, axis=1, out=out[7:])

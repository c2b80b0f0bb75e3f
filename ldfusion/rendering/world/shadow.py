"""Sun shadows by a depth map from the sun (Williams, Casting Curved Shadows on Curved Surfaces, SIGGRAPH 1978), and the
dark patch below what stands on the ground.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.noise import Map
from ldfusion.rendering.world.surface import UP, Facet, Surface, Texels, Thing, cross, level

SIDE = 448
BIAS = 0.10
"""Distance [m] by which a surface must lie behind the map to be in shadow."""


class ShadowMap:
    """Nearest surface to the sun over the part of the world near the camera."""

    def __init__(self, things: list[Thing], sun: NDArray[np.float64], near: NDArray[np.float64], reach: float) -> None:
        """
        Args:
            things: the casters.
            sun: (3,) unit vector towards the sun.
            near: (3,) point on the ground in the middle of the mapped region.
            reach: radius of the region [m].
        """
        across = cross(sun, UP)
        across /= np.linalg.norm(across)
        self.axes = np.stack([across, cross(across, sun), sun])
        self.texel = 2 * reach / SIDE
        self.offset = (self.axes @ near)[:2] - reach
        self.height = np.full((SIDE, SIDE), -np.inf, np.float32)
        for thing in things:
            for facet in thing.facets:
                if facet.casts and not facet.decal:
                    self._draw(_facing_sun(facet, sun) if facet.billboard else facet)

    def _draw(self, facet: Facet) -> None:
        plane = self.axes @ np.stack(
            [facet.u_axis, facet.v_axis], 1
        )  # (3, 2): metres along the map's axes per metre of u and v
        det = plane[0, 0] * plane[1, 1] - plane[0, 1] * plane[1, 0]
        if abs(det) < 0.02:  # seen edge-on
            return
        origin = self.axes @ facet.origin
        corners = (origin[:2] - self.offset + facet.outline @ plane[:2].T) / self.texel
        low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        x0, y0, x1, y1 = max(0, low[0]), max(0, low[1]), min(SIDE, high[0] + 1), min(SIDE, high[1] + 1)
        if x0 >= x1 or y0 >= y1:
            return
        a = ((np.arange(x0, x1) + 0.5) * self.texel + self.offset[0] - origin[0]).astype(np.float32)[None, :]
        b = ((np.arange(y0, y1) + 0.5) * self.texel + self.offset[1] - origin[1]).astype(np.float32)[:, None]
        u = np.float32(plane[1, 1] / det) * a - np.float32(plane[0, 1] / det) * b
        v = np.float32(plane[0, 0] / det) * b - np.float32(plane[1, 0] / det) * a
        covered = np.ones(u.shape, bool)
        turn = np.concatenate([facet.outline[1:], facet.outline[:1]]) - facet.outline
        for (pu, pv), (eu, ev) in zip(facet.outline, turn, strict=True):
            covered &= np.float32(eu) * (v - np.float32(pv)) >= np.float32(ev) * (u - np.float32(pu))
        if not covered.any():
            return
        if facet.cutout:
            width = np.full(u.shape, self.texel * 0.7, np.float32)
            alpha = facet.shader(Texels(u, v, width, width)).alpha
            if alpha is not None:
                covered &= alpha > 0.5
        height = np.float32(origin[2]) + u * np.float32(plane[2, 0]) + v * np.float32(plane[2, 1])
        window = self.height[y0:y1, x0:x1]
        np.copyto(window, np.maximum(window, height), where=covered)

    def lit(self, points: tuple[Map, Map, Map]) -> Map:
        """Share of the sun that reaches world points, given as three (H, W) maps x, y, z; filtered over neighbouring
        texels.
        """
        along = [sum(np.float32(axis[k]) * points[k] for k in range(3)) for axis in self.axes]
        x = (along[0] - np.float32(self.offset[0])) * np.float32(1 / self.texel) - 1
        y = (along[1] - np.float32(self.offset[1])) * np.float32(1 / self.texel) - 1
        inside = (x >= 0) & (y >= 0) & (x < SIDE - 3) & (y < SIDE - 3)
        x, y = np.where(inside, x, 0), np.where(inside, y, 0)
        column, row = x.astype(np.int32), y.astype(np.int32)
        fx, fy = x - column, y - row
        index = row * SIDE + column
        flat, level = self.height.ravel(), along[2] + np.float32(BIAS)
        # Comparisons of 3 x 3 texels, weighted by a window of two texels' width around the point.
        clear = np.zeros_like(level)
        one = np.ones_like(fx)
        for step, down in enumerate((1 - fy, one, fy)):
            for shift, across in enumerate((1 - fx, one, fx)):
                clear += (flat.take(index + (step * SIDE + shift)) <= level) * (0.25 * down * across)
        return np.where(inside, clear, np.float32(1))


def _facing_sun(card: Facet, sun: NDArray[np.float64]) -> Facet:
    """The same silhouette on a card that is turned about its vertical to face the sun."""
    level = np.array([sun[0], 0.0, sun[2]])
    level /= max(float(np.linalg.norm(level)), 1e-9)
    return Facet(card.origin, cross(UP, level), card.v_axis, card.outline, card.shader, cutout=True)


def contact(at: tuple[float, float], radius: tuple[float, float], floor: float = 0.0, strength: float = 0.7) -> Facet:
    """Soft dark patch where something stands on the ground at (x, z): the light it keeps away [radii in metres]."""

    def shade(texels: Texels) -> Surface:
        r2 = ((texels.u - at[0]) / radius[0]) ** 2 + ((texels.v - at[1]) / radius[1]) ** 2
        dark = 1 - strength
        return Surface((dark, dark, dark), alpha=np.clip(1 - r2, 0, 1) ** 1.2)

    x, z = at
    return level(
        (x - radius[0], x + radius[0]),
        (z - radius[1], z + radius[1]),
        floor,
        shade,
        decal=True,
        casts=False,
        cutout=True,
    )

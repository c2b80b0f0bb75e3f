"""Single things of a room: radiators, plants, pictures, lamps, a fire.

``viewer`` is the place (3,) of the camera [m], which cards face.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.room.furniture import Place, cuboid, piece
from ldfusion.rendering.world.figures import Part, extent, figure
from ldfusion.rendering.world.noise import CLUMPS, fade, smooth
from ldfusion.rendering.world.surface import Surface, Texels, Thing, band, blend, card, mix, upright

Point = tuple[float, float]


def radiator(place: Place, width: float, on: bool) -> Thing:
    """A radiator; hot at the top when it is on."""

    def front(at: Texels) -> Surface:
        ribs = 0.75 + 0.25 * np.cos(at.u * (2 * np.pi / 0.08))
        value = 0.62 * mix(1.0, ribs, fade(at.du, 0.03))
        return Surface(
            (value, value, 0.97 * value),
            warmth=(8.0 + 8.0 * at.v) * on,
            bend=(0.5 * np.sin(at.u * (2 * np.pi / 0.08)), 0.0),
        )

    return piece("radiator", place, cuboid(place, width, 0.1, 0.62, front, bottom=0.12))


def plant(rng: np.random.Generator, at: Point, viewer: NDArray[np.float64]) -> Thing:
    """A potted plant with long leaves."""
    foot = np.array([at[0], 0.0, at[1]])
    parts = [Part((0, 0.04), (0, 0.30), (0.13, 0.17), (0.36, 0.15, 0.09), 0.0, 50)]
    green = (0.06, 0.15, 0.04)
    for k in range(26):
        angle, length = float(rng.normal(0, 0.62)), float(rng.uniform(0.5, 1.05))
        tip = (length * float(np.sin(angle)), 0.33 + length * float(np.cos(angle)) * 0.95)
        elbow = (0.45 * tip[0], 0.33 + 0.62 * (tip[1] - 0.33))
        shade = float(rng.uniform(0.6, 1.5))
        color = (green[0] * shade, green[1] * shade, green[2] * shade)
        parts += [
            Part((0, 0.33), elbow, (0.012, 0.032), color, -0.4, k),
            Part(elbow, tip, (0.032, 0.006), color, -0.4, k),
        ]
    return Thing("plant", [card(foot, viewer, extent(parts), figure(parts))], anchor=foot)


def picture(rng: np.random.Generator, left: Point, right: Point) -> Thing:
    """A framed picture on a wall between two ground points; an abstract landscape."""
    width = float(np.hypot(right[0] - left[0], right[1] - left[1]))
    low, high = float(rng.uniform(1.25, 1.4)), float(rng.uniform(1.75, 2.0))
    seed = int(rng.integers(1 << 12))
    hue = rng.uniform(0.1, 0.6, (3, 3))

    def shade(at: Texels) -> Surface:
        inside = band(at.u, 0.045, width - 0.045, at.du) * band(at.v, low + 0.045, high - 0.045, at.dv)
        field = smooth(at.u * 3 + seed, at.v * 3, 0.03)
        horizon = np.clip((at.v - (low + high) / 2 + 0.06 * field) * 14, 0, 1)
        paint = [
            np.clip(mix(mix(hue[0, k], hue[1, k], horizon), hue[2, k], np.clip(0.5 * field - 0.2, 0, 1)), 0.02, 0.8)
            for k in range(3)
        ]
        return Surface(
            blend((0.10, 0.07, 0.04), (paint[0], paint[1], paint[2]), inside), warmth=0.4, mirror=0.05 * inside
        )

    return Thing("picture", [upright(left, right, high, shade, bottom=low)], anchor=np.array([left[0], 0.0, left[1]]))


def lamp(at: Point, viewer: NDArray[np.float64], ceiling: float, on: bool) -> Thing:
    """A pendant lamp with a cloth shade."""
    glow = (2.6, 2.2, 1.6) if on else None
    parts = [Part((0, ceiling - 0.5), (0, ceiling), (0.008, 0.008), (0.03, 0.03, 0.03), 0.3)]
    parts.append(
        Part(
            (0, ceiling - 0.62), (0, ceiling - 0.50), (0.20, 0.12), (0.60, 0.54, 0.44), 9.0 if on else 0.4, 1, glow=glow
        )
    )
    foot = np.array([at[0], 0.0, at[1]])
    return Thing("lamp", [card(foot, viewer, extent(parts), figure(parts))], anchor=foot)


def fire(rng: np.random.Generator, at: Point, viewer: NDArray[np.float64]) -> Thing:
    """Flames on the floor."""
    foot = np.array([at[0], 0.0, at[1]])
    shift = float(rng.uniform(0, 40))

    def shade(at_: Texels) -> Surface:
        height = at_.v / 1.1
        sway = 0.10 * smooth(at_.v + shift, at_.v * 0 + 5, 0.02) * height
        flicker = smooth(at_.u * 1.6 + shift, at_.v * 0.6, 0.022, CLUMPS)
        body = 1 - np.abs(at_.u - sway) / (0.42 * np.clip(1.08 - height, 0.02, 1) ** 0.7) + 0.42 * flicker
        alpha = np.clip(body * 3.0 * np.clip(1.15 - height, 0, 1), 0, 1) * (at_.v > 0)
        core = np.clip(body - 0.1, 0, 1)
        return Surface(
            (0.02, 0.01, 0.0),
            warmth=60 + 110 * core,
            emission=(4.5 * core + 1.8, 2.2 * core + 0.42, 0.55 * core**2 + 0.03),
            alpha=alpha,
        )

    return Thing("fire", [card(foot, viewer, (-0.55, 0.55, 0.0, 1.2), shade)], anchor=foot)

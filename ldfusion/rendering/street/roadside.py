"""Long and low things along a road: guard rails, fences, wheel stops, speed bumps, benches."""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.world.surface import (
    Color,
    Facet,
    Shader,
    Surface,
    Texels,
    Thing,
    band,
    blend,
    level,
    mix,
    polygon,
    tint,
    upright,
)

Point = tuple[float, float]
WOOD: Color = (0.24, 0.13, 0.06)
DARK: Color = (0.035, 0.04, 0.04)


def guard_rail(x: float, z: tuple[float, float], inward: float, floor: float = 0.0) -> Thing:
    """A W-beam on posts along z; `inward` is the sign of x of the side it is seen from."""

    def shade(at: Texels) -> Surface:
        beam = band(at.v, 0.45, 0.78, at.dv)
        post = band(np.mod(at.u, 2.0), 0.0, 0.12, at.du) * band(at.v, 0, 0.72, at.dv)
        wave = np.cos((at.v - 0.615) * (2 * np.pi / 0.165))
        value = 0.34 + 0.10 * wave
        color: Color = blend((0.16, 0.16, 0.16), (value, value, value * 1.03), beam)
        return Surface(
            color,
            warmth=-0.6,
            solar=5.0,
            mirror=0.12 * beam,
            bend=(0.0, 0.6 * np.sin((at.v - 0.615) * (2 * np.pi / 0.165)) * beam),
            alpha=np.maximum(beam, post),
        )

    start, end = ((x, z[0]), (x, z[1])) if inward > 0 else ((x, z[1]), (x, z[0]))
    facet = upright(start, end, 0.8, shade, floor=floor, two_sided=True)
    return Thing("guard rail", [facet], label=6, anchor=np.array([x, -floor, (z[0] + z[1]) / 2]))


def fence(start: Point, end: Point, height: float, floor: float = 0.0) -> Thing:
    """A fence of upright bars between two rails."""

    def shade(at: Texels) -> Surface:
        bars = band(np.mod(at.u, 0.16), 0.0, 0.035, at.du) * band(at.v, 0.06, height - 0.02, at.dv)
        rails = band(at.v, height - 0.16, height - 0.11, at.dv) + band(at.v, 0.14, 0.19, at.dv)
        posts = band(np.mod(at.u, 2.4), 0.0, 0.08, at.du)
        return Surface((0.04, 0.045, 0.045), warmth=-0.4, solar=4.0, alpha=np.clip(bars + rails + posts, 0, 1))

    middle = np.array([(start[0] + end[0]) / 2, -floor, (start[1] + end[1]) / 2])
    return Thing("fence", [upright(start, end, height, shade, floor=floor, two_sided=True)], anchor=middle)


def car_stop(x: float, z: float, length: float = 1.7) -> Thing:
    """A concrete wheel stop across a parking bay, with yellow ends."""

    def shade(at: Texels) -> Surface:
        ends = 1 - band(at.u, 0.25, length - 0.25, at.du)
        color = blend(tint((0.38, 0.37, 0.35), mix(0.7, 1.1, np.clip(at.v / 0.13, 0, 1))), (0.62, 0.44, 0.05), ends)
        return Surface(color, warmth=1.2, solar=6.0)

    return Thing(
        "car stop",
        block((x - length / 2, x + length / 2), (z, z + 0.16), 0.13, shade),
        label=5,
        anchor=np.array([x, 0, z]),
    )


def speed_bump(half_width: float, z: float) -> Thing:
    """A rubber bump across the road in black and yellow."""

    def shade(at: Texels) -> Surface:
        stripes = band(np.mod(at.u, 1.0), 0.0, 0.5, at.du)
        return Surface(blend((0.04, 0.04, 0.04), (0.62, 0.44, 0.04), stripes), warmth=2.0, solar=11.0)

    low, high, depth = 0.0, 0.09, 0.42
    edge = [
        np.array([s * half_width, -h, z + d])
        for h, d in ((low, 0.0), (high, depth / 2), (low, depth))
        for s in (-1.0, 1.0)
    ]
    facets = [
        polygon([edge[0], edge[1], edge[3], edge[2]], shade),
        polygon([edge[2], edge[3], edge[5], edge[4]], shade),
    ]
    return Thing("speed bump", facets, label=8, anchor=np.array([0.0, 0.0, z]))


def bench(at: Point, side: float, floor: float) -> Thing:
    """A wooden bench along z that looks towards the road; `side` is the sign of x of its side of the road."""
    x, z = at

    def planks(at_: Texels) -> Surface:
        gap = 1 - band(np.mod(at_.v, 0.12), 0.015, 0.105, at_.dv)
        return Surface(tint(WOOD, 1 - 0.7 * gap), warmth=0.3, solar=4.0)

    seat = block((x - 0.22, x + 0.22), (z - 0.8, z + 0.8), 0.46, planks, bottom=0.40, floor=floor)
    back_x = x + side * 0.22
    ends = ((back_x, z - 0.8), (back_x, z + 0.8)) if side < 0 else ((back_x, z + 0.8), (back_x, z - 0.8))
    back = upright(*ends, 0.9, planks, bottom=0.55, floor=floor, two_sided=True)
    legs = [block((x - 0.18, x + 0.18), (z + d, z + d + 0.06), 0.4, _plain(DARK), floor=floor) for d in (-0.65, 0.6)]
    return Thing("bench", [*seat, back, *legs[0], *legs[1]], anchor=np.array([x, -floor, z]))


def _plain(color: Color) -> Shader:
    return lambda at: Surface(color, solar=4.0)


def block(
    x: tuple[float, float],
    z: tuple[float, float],
    height: float,
    shader: Shader,
    bottom: float = 0.0,
    floor: float = 0.0,
) -> list[Facet]:
    """Top and sides of a box that stands along the axes."""
    (x0, x1), (z0, z1) = x, z
    corners = [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]
    sides = [
        upright(a, b, height, shader, bottom=bottom, floor=floor)
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    return [*sides, level(x, z, floor + height, shader)]

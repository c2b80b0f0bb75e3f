"""Furniture: tables, chairs, sofas, shelves with books, cabinets, desks with monitors, boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ldfusion.rendering.room.interior import WOODS, fabric, wood
from ldfusion.rendering.world.noise import cell, fade, grain, smooth
from ldfusion.rendering.world.surface import (
    Color,
    Facet,
    Shader,
    Surface,
    Texels,
    Thing,
    band,
    blend,
    disc,
    mix,
    polygon,
    tint,
    upright,
)

Point = tuple[float, float]
FABRICS: tuple[Color, ...] = (
    (0.10, 0.14, 0.22),
    (0.30, 0.10, 0.07),
    (0.26, 0.24, 0.21),
    (0.09, 0.16, 0.11),
    (0.42, 0.33, 0.20),
)


@dataclass(frozen=True)
class Place:
    """Where a piece stands: the middle of its footprint and the unit direction (x, z) that its front faces."""

    at: Point
    facing: Point

    @property
    def right(self) -> Point:
        """Unit direction to the right of somebody who looks at the front."""
        return -self.facing[1], self.facing[0]

    def point(self, across: float, forward: float) -> Point:
        """Ground point at a distance to the right of the middle and in front of it."""
        (x, z), (rx, rz), (fx, fz) = self.at, self.right, self.facing
        return x + across * rx + forward * fx, z + across * rz + forward * fz


def cuboid(
    place: Place,
    width: float,
    depth: float,
    height: float,
    front: Shader,
    side: Shader | None = None,
    top: Shader | None = None,
    bottom: float = 0.0,
    across: float = 0.0,
    forward: float = 0.0,
) -> list[Facet]:
    """Four sides and the top of a box whose middle is moved by `across` and `forward` from that of the place."""
    side = front if side is None else side
    top = side if top is None else top
    x0, x1, z0, z1 = across - width / 2, across + width / 2, forward - depth / 2, forward + depth / 2
    corners = [place.point(*corner) for corner in ((x0, z1), (x1, z1), (x1, z0), (x0, z0))]
    shaders = (front, side, side, side)
    facets = [
        upright(a, b, height, shader, bottom=bottom)
        for a, b, shader in zip(corners, corners[1:] + corners[:1], shaders, strict=True)
    ]
    facets.append(polygon([[x, -height, z] for x, z in corners], top))
    return facets


def piece(name: str, place: Place, facets: list[Facet]) -> Thing:
    """A thing of facets that stands at a place."""
    return Thing(name, facets, anchor=np.array([place.at[0], 0.0, place.at[1]]))


def table(rng: np.random.Generator, place: Place) -> Thing:
    """A dining table."""
    color = WOODS[rng.integers(len(WOODS))]
    width, depth = float(rng.uniform(1.2, 1.8)), float(rng.uniform(0.7, 0.9))
    board = wood(color, plank=0.18)
    facets = cuboid(place, width, depth, 0.75, board, bottom=0.70)
    for x in (-1, 1):
        for z in (-1, 1):
            facets += cuboid(
                place, 0.06, 0.06, 0.70, board, across=x * (width / 2 - 0.07), forward=z * (depth / 2 - 0.07)
            )
    return piece("table", place, facets)


def chair(rng: np.random.Generator, place: Place) -> Thing:
    """A wooden chair."""
    board = wood(WOODS[rng.integers(len(WOODS))], plank=0.09)
    facets = cuboid(place, 0.44, 0.42, 0.46, board, bottom=0.42)
    facets += cuboid(place, 0.44, 0.04, 0.92, board, bottom=0.58, forward=-0.20)
    for x in (-0.19, 0.19):
        facets += cuboid(place, 0.04, 0.04, 0.42, board, across=x, forward=0.18)
        facets += cuboid(place, 0.04, 0.04, 0.60, board, across=x, forward=-0.20)
    return piece("chair", place, facets)


def sofa(rng: np.random.Generator, place: Place, sat: bool) -> Thing:
    """A sofa; where somebody sat before, the seat keeps a warm print that only the infrared shows."""
    color = FABRICS[rng.integers(len(FABRICS))]
    cloth = fabric(color)
    print_at = float(rng.uniform(-0.5, 0.5))

    def seat(at: Texels) -> Surface:
        surface = cloth(at)
        if sat:
            surface.warmth = 1.0 + 4.5 * np.exp(-(((at.u - 0.8 - print_at) / 0.22) ** 2))
        return surface

    facets = cuboid(place, 1.9, 0.85, 0.44, cloth, top=seat)
    facets += cuboid(place, 1.9, 0.2, 0.85, cloth, forward=-0.33, bottom=0.3)
    for x in (-0.87, 0.87):
        facets += cuboid(place, 0.18, 0.85, 0.62, fabric(tint(color, 0.9)), across=x)
    return piece("sofa", place, facets)


def shelf(rng: np.random.Generator, place: Place) -> Thing:
    """A book shelf."""
    width, height, depth = float(rng.uniform(0.9, 1.8)), float(rng.uniform(1.5, 2.1)), 0.32
    color = WOODS[rng.integers(len(WOODS))]
    side = wood(color, along="v")
    return piece(
        "shelf",
        place,
        cuboid(place, width, depth, height, _books(width, height, color, int(rng.integers(1 << 16))), side),
    )


def _books(width: float, height: float, color: Color, seed: int) -> Shader:
    def shade(at: Texels) -> Surface:
        step = 0.36
        row = np.floor(at.v / step)
        up = at.v - row * step
        column = np.floor(at.u / 0.045)
        chance = cell(column, row, seed)
        tall = 0.20 + 0.10 * cell(column, row, seed + 3)
        book = band(up, 0.03, tall, at.dv) * (cell(np.floor(column / 9), row, seed + 5) < 0.85)
        hue = cell(column, row, seed + 7)
        cover: Color = (0.08 + 0.40 * chance, 0.06 + 0.30 * hue, 0.06 + 0.28 * cell(column, row, seed + 9))
        spine = 1 - 0.5 * (1 - band(at.u - column * 0.045, 0.004, 0.041, at.du)) * fade(at.du, 0.02)
        title = 1 + 0.8 * band(up, 0.10, 0.13, at.dv) * (chance > 0.5)
        shown = blend(tint(color, 0.28), tint(cover, spine * title), book)
        frame = 1 - band(at.u, 0.03, width - 0.03, at.du) * band(up, 0.025, step, at.dv) * band(
            at.v, 0.05, height - 0.03, at.dv
        )
        return Surface(blend(shown, color, np.clip(frame, 0, 1)), warmth=0.3 + 0.9 * book, solar=3.0)

    return shade


def cabinet(rng: np.random.Generator, place: Place) -> Thing:
    """A chest of drawers or a wardrobe."""
    tall = rng.random() < 0.4
    width, height = float(rng.uniform(0.8, 1.5)), 2.0 if tall else float(rng.uniform(0.75, 1.0))
    color = WOODS[rng.integers(len(WOODS))] if rng.random() < 0.6 else (0.58, 0.57, 0.54)
    board = wood(color, along="v" if tall else "u", plank=0.4)
    rows, columns = (1, 2) if tall else (3, 2)

    def front(at: Texels) -> Surface:
        surface = board(at)
        x, y = at.u / width * columns, (at.v - 0.06) / (height - 0.06) * rows
        gap = 1 - band(x - np.floor(x), 0.015, 0.985, at.du / width * columns) * band(
            y - np.floor(y), 0.02, 0.98, at.dv / height * rows
        )
        knob = disc(
            (x - np.floor(x) - (0.9 if tall else 0.5)) * width / columns,
            (y - np.floor(y) - 0.5) * height / rows,
            0.025,
            at.du,
        )
        surface.albedo = blend(tint(surface.albedo, 1 - 0.65 * np.clip(gap, 0, 1)), (0.10, 0.09, 0.08), knob)
        return surface

    return piece("cabinet", place, cuboid(place, width, 0.45, height, front, board))


def desk(rng: np.random.Generator, place: Place, on: bool) -> Thing:
    """A desk with a monitor, which is warm when it is on."""
    board = wood(WOODS[rng.integers(len(WOODS))], plank=0.3)
    facets = cuboid(place, 1.4, 0.65, 0.74, board, bottom=0.70)
    for x in (-0.66, 0.66):
        facets += cuboid(place, 0.05, 0.6, 0.70, board, across=x)
    seed = int(rng.integers(1 << 16))

    def screen(at: Texels) -> Surface:
        inside = band(at.u, 0.02, 0.58, at.du) * band(at.v, 0.92, 1.24, at.dv)
        window = band(at.u, 0.10, 0.42, at.du) * band(at.v, 0.98, 1.18, at.dv)
        lines = (cell(np.floor(at.u / 0.05), np.floor(at.v / 0.025), seed) > 0.45) * window
        bright = inside * (1.1 if on else 0.0)
        glow = bright * mix(0.45, 1.0, window) * (1 - 0.6 * lines)
        return Surface(
            blend((0.03, 0.03, 0.03), (0.02, 0.02, 0.025), inside),
            warmth=(7.0 if on else 0.3) + 2.0 * inside * on,
            mirror=0.12 * inside,
            emission=(0.55 * glow, 0.75 * glow, glow),
        )

    plain: Shader = lambda at: Surface((0.03, 0.03, 0.03), warmth=6.0 if on else 0.3)  # noqa: E731
    facets += cuboid(place, 0.6, 0.05, 1.26, screen, plain, bottom=0.90, forward=-0.1)
    facets += cuboid(place, 0.18, 0.12, 0.90, plain, bottom=0.74, forward=-0.12)
    return piece("monitor" if on else "desk", place, facets)


def boxes(rng: np.random.Generator, place: Place) -> Thing:
    """A stack of cardboard boxes."""
    facets: list[Facet] = []
    floor = 0.0
    for _ in range(int(rng.integers(1, 4))):
        width, height = float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.25, 0.4))

        def side(at: Texels, middle: float = width / 2) -> Surface:
            tape = band(np.abs(at.u - middle), -1, 0.03, at.du)
            value = 1 + 0.06 * smooth(at.u, at.v, 0.02) + 0.05 * grain(at.u, at.v, 0.01) * fade(at.du, 0.02)
            return Surface(
                blend(tint((0.38, 0.26, 0.15), value), (0.50, 0.40, 0.26), 0.7 * tape), warmth=0.2, solar=4.0
            )

        turned = Place(place.point(float(rng.normal(0, 0.03)), 0.0), place.facing)
        facets += cuboid(turned, width, 0.4, floor + height, side, bottom=floor)
        floor += height
    return piece("box", place, facets)


Maker = Callable[[np.random.Generator, Place], Thing]

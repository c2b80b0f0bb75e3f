"""Houses along a street and what closes its far end: a house across, trees, hills, a skyline."""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.street.facade import blank_wall, house_front, roof_tiles, sample_facade
from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.noise import CLUMPS, cell, smooth
from ldfusion.rendering.world.surface import BUILT, Surface, Texels, Thing, band, blend, polygon, tint, upright

ROOFS = ((0.26, 0.09, 0.06), (0.12, 0.12, 0.13), (0.20, 0.13, 0.09))


def house(
    rng: np.random.Generator,
    side: float,
    x: float,
    z: float,
    width: float,
    depth: float,
    storeys: int,
    lit: float,
    floor: float,
    pitched: bool = False,
    shop: float = 0.6,
) -> Thing:
    """A house on one side of the road whose front stands at side * x and runs from z to z + width.

    Args:
        side: -1 left, 1 right of the road.
        lit: share of lit windows.
        floor: height of the ground [m].
        pitched: has a tiled roof with its ridge along the street.
        shop: chance of a shop on the ground floor.
    """
    face = sample_facade(rng, width, storeys, lit, shop)
    slopes = roof_tiles(ROOFS[rng.integers(len(ROOFS))])
    rise = float(rng.uniform(1.8, 3.2))
    front, back = side * x, side * (x + depth)
    gable = blank_wall(face.material, face.color, face.seed, face.height)
    near_end = sorted((front, back))
    street_side = ((front, z), (front, z + width)) if side < 0 else ((front, z + width), (front, z))
    facets = [
        upright(*street_side, face.height, house_front(face), floor=floor),
        upright((near_end[0], z), (near_end[1], z), face.height, gable, floor=floor),
    ]
    if pitched:
        eaves, ridge = -floor - face.height + 0.15, -floor - face.height - rise
        overhang = front - side * 0.45
        middle = side * (x + depth / 2)
        a, b = ([overhang, eaves, street_side[k][1] + (-0.3 if street_side[k][1] == z else 0.3)] for k in range(2))
        facets.append(polygon([a, b, [middle, ridge, b[2]], [middle, ridge, a[2]]], slopes, two_sided=True))
        facets.append(polygon([[near_end[0], eaves, z], [near_end[1], eaves, z], [middle, ridge, z]], gable))
    return Thing(
        "building" if storeys > 2 else "house", facets, layer=BUILT, anchor=np.array([front, 0.0, max(z, 0.0)])
    )


def far_end(rng: np.random.Generator, style: str, nearest: float, farthest: float, conditions: Conditions) -> Thing:
    """Closes the view down the street."""
    lit = 0.4 if conditions.light in ("dusk", "night") else 0.0
    across = rng.random() < 0.45
    storeys = int(rng.integers(3, 8))
    face = sample_facade(rng, 60.0, storeys, lit, 0.5)
    seed = int(rng.integers(1 << 16))
    rounded = style != "city" or rng.random() < 0.5
    if across and style == "city":
        z = farthest + 12
        facet = upright((-30, z), (30, z), face.height, house_front(face), floor=0.12)
        return Thing("building", [facet], layer=BUILT, anchor=np.array([0.0, 0.0, z]))
    z = 260.0
    shader = _hills(seed) if rounded else _skyline(seed, lit)
    facet = upright((-420, z), (420, z), 60.0, shader, casts=False, cutout=True)
    return Thing("hill" if rounded else "building", [facet], layer=BUILT, anchor=np.array([0.0, 0.0, z]))


def _hills(seed: int):  # type: ignore[no-untyped-def]
    """Wooded hills behind a row of trees."""

    def shade(at: Texels) -> Surface:
        u = at.u + np.float32(seed % 1000)
        line = 13 + 7.0 * smooth(u[:1], u[:1] * 0 + 3, 1.6) + 1.3 * smooth(u[:1], u[:1] * 0 + 9, 0.25, CLUMPS)
        trees = 7.0 + 2.2 * smooth(u[:1], u[:1] * 0 + 31, 0.12, CLUMPS)
        clumps = smooth(u, at.v, 0.12, CLUMPS)
        wood = band(at.v, -5, np.broadcast_to(trees, u.shape), at.dv)
        light = np.clip(0.8 + 0.3 * clumps, 0.2, 1.6)
        color = tint(blend((0.10, 0.14, 0.09), (0.055, 0.09, 0.035), wood), light)
        return Surface(
            color,
            warmth=0.3 + 0.4 * clumps,
            solar=1.5,
            bend=(np.clip(0.3 * clumps, -0.7, 0.7), 0.35),
            alpha=np.maximum(wood, band(at.v, -5, np.broadcast_to(line, u.shape), at.dv)),
        )

    return shade


def _skyline(seed: int, lit: float):  # type: ignore[no-untyped-def]
    """Blocks of flats far away."""

    def shade(at: Texels) -> Surface:
        block = np.floor(at.u / 19.0)
        tall = 12 + 34 * cell(block, block * 0, seed) ** 1.5
        column, floor = np.floor(at.u / 2.4), np.floor(at.v / 3.1)
        window = band(at.u / 2.4 - column, 0.25, 0.75, at.du / 2.4) * band(at.v / 3.1 - floor, 0.3, 0.75, at.dv / 3.1)
        tone = 0.25 + 0.25 * cell(block, block * 0 + 1, seed)
        on = window * (cell(column, floor, seed) < lit)
        color = blend((tone, tone * 0.95, tone * 0.9), (0.05, 0.06, 0.07), 0.7 * window)
        return Surface(
            color, warmth=1.0, solar=5.0, emission=(0.6 * on, 0.42 * on, 0.22 * on), alpha=band(at.v, -5, tall, at.dv)
        )

    return shade

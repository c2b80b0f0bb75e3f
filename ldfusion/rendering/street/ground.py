"""Ground of a street: asphalt with its markings, paved sidewalks, kerbs, grass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ldfusion.rendering.world.noise import CLUMPS, CRACKS, cell, fade, grain, smooth
from ldfusion.rendering.world.surface import (
    Color,
    Map,
    Shader,
    Surface,
    Texels,
    band,
    blend,
    disc,
    mix,
    tint,
)


@dataclass(frozen=True)
class Road:
    """A straight road along z.

    Attributes:
        half_width: from its middle to the kerb [m].
        tone: reflectance of the asphalt.
        crossings: z of the middles of zebra crossings [m].
        wet: share of puddles, 0 dry.
        parking: width of the parking lanes beside the kerbs [m], 0 for none.
    """

    half_width: float
    tone: float
    crossings: tuple[float, ...]
    wet: float
    parking: float
    seed: int


def asphalt(road: Road) -> Shader:
    """Asphalt with grain, wheel tracks, patches, cracks, manholes, lines and zebra crossings; u is x, v is z."""
    rng = np.random.default_rng(road.seed)
    patches = [
        (
            float(rng.uniform(-1, 1) * road.half_width),
            float(rng.uniform(3, 40)),
            float(rng.uniform(0.5, 1.4)),
            float(rng.uniform(0.7, 3.5)),
        )
        for _ in range(4)
    ]
    manholes = [(float(rng.uniform(-0.7, 0.7) * road.half_width), float(rng.uniform(4, 22))) for _ in range(2)]
    edge = road.half_width - road.parking - 0.18
    dashes = rng.random() < 0.75
    paint = (0.62, 0.62, 0.58) if rng.random() < 0.7 else (0.60, 0.45, 0.10)

    def shade(at: Texels) -> Surface:
        x, z, width = at.u, at.v, np.maximum(at.du, at.dv * 0.35)
        large = smooth(x, z * 0.35, 0.16)
        fine = grain(x, z, 0.011) * fade(at.dv, 0.03)
        value = road.tone * (1 + 0.13 * large + 0.20 * fine)
        lane = road.half_width / 2
        track = np.exp(-(((np.abs(np.abs(x) - lane) - 0.75) / 0.3) ** 2))
        value = value * (1 - 0.16 * track)
        for px, pz, pw, pl in patches:
            value = value * (1 - 0.28 * band(x, px - pw, px + pw, at.du) * band(z, pz - pl, pz + pl, at.dv))
        ridge = np.abs(smooth(x, z, 0.035, CRACKS))
        value = value * (1 - 0.5 * np.clip(1 - ridge * 30, 0, 1) * fade(width, 0.02))
        for mx, mz in manholes:
            hole = disc(x - mx, z - mz, 0.34, width)
            value = value * (1 - 0.45 * hole * (0.75 + 0.25 * np.sign(np.sin(x * 60) * np.sin(z * 60))))
        color: Color = (value, value * 1.0, value * 1.03)
        color = blend(
            color,
            tint(paint, 0.8 + 0.2 * fine),
            _markings(road, at, edge, dashes) * np.clip(0.85 + 0.18 * large - 0.2 * fine, 0.3, 1),
        )
        mirror: Map | float = 0.0
        if road.wet > 0:
            mirror = np.clip(smooth(x + 9, z * 0.6, 0.05) * 1.4 + 3.2 * road.wet - 1.6, 0, 1) * 0.55
            color = tint(color, 1 - 0.5 * mirror)
        return Surface(color, warmth=1.6 + 0.35 * large + 0.5 * track, solar=9.0 + 0.8 * large, mirror=mirror)

    return shade


def _markings(road: Road, at: Texels, edge: float, dashes: bool) -> Map:
    x, z = at.u, at.v
    dashed = band(np.mod(z, 6.0), 0.0, 3.0, at.dv) if dashes else np.ones_like(z)
    lines = band(x, -0.07, 0.07, at.du) * dashed + band(np.abs(x), edge - 0.06, edge + 0.06, at.du)
    if road.parking > 0:
        ticks = band(np.mod(z, 5.5), 0.0, 0.12, at.dv) * band(np.abs(x), edge, road.half_width - 0.1, at.du)
        lines = lines + ticks
    for middle in road.crossings:
        along = band(z, middle - 1.6, middle + 1.6, at.dv)
        stripes = band(np.mod(x + 50.0, 1.0), 0.0, 0.5, at.du) * band(np.abs(x), -1, road.half_width - 0.25, at.du)
        stop = band(z, middle - 2.9, middle - 2.55, at.dv) * band(x, 0.15, edge, at.du)
        lines = lines * (1 - band(z, middle - 2.2, middle + 2.2, at.dv)) + along * stripes + stop
    return np.clip(lines, 0, 1)


def paving(slab: float, color: Color, seed: int) -> Shader:
    """Slabs of `slab` metres with joints, stains and slabs that differ in tone."""

    def shade(at: Texels) -> Surface:
        row = np.floor(at.v / slab)
        x = at.u + 0.5 * slab * np.mod(row, 2)
        column = np.floor(x / slab)
        tone = 1 + 0.16 * (cell(column, row, seed) - 0.5) * fade(np.maximum(at.du, at.dv), slab)
        joint = 1 - band(x - column * slab, 0.012, slab - 0.012, at.du) * band(
            at.v - row * slab, 0.012, slab - 0.012, at.dv
        )
        joint = joint * fade(np.maximum(at.du, at.dv), slab * 0.4)
        stain = smooth(at.u, at.v, 0.09)
        fine = grain(at.u, at.v, 0.014) * fade(at.dv, 0.03)
        value = tone * (1 - 0.35 * joint) * (1 + 0.10 * stain + 0.08 * fine)
        return Surface(tint(color, value), warmth=1.0 + 0.3 * stain - 0.5 * joint, solar=7.0)

    return shade


def kerb() -> Shader:
    """Granite kerb stones a metre long; u runs along the kerb."""

    def shade(at: Texels) -> Surface:
        stone = np.floor(at.u)
        joint = 1 - band(at.u - stone, 0.01, 0.99, at.du)
        value = (
            (0.30 + 0.08 * cell(stone, stone * 0, 5)) * (1 - 0.5 * joint) * mix(0.6, 1.1, np.clip(at.v / 0.12, 0, 1))
        )
        return Surface((value, value, value * 0.98), warmth=1.4, solar=6.0)

    return shade


def grass(seed: int, dry: float) -> Shader:
    """A lawn; `dry` in [0, 1] turns it from green to straw."""
    fresh, straw = (0.085, 0.13, 0.03), (0.26, 0.21, 0.10)
    shift = float(seed % 97)

    def shade(at: Texels) -> Surface:
        large = smooth(at.u + shift, at.v * 0.5, 0.12)
        tufts = smooth(at.u, at.v * 0.5 + shift, 0.02, CLUMPS)
        blades = grain(at.u, at.v, 0.02) * fade(at.dv, 0.05)
        share = np.clip(dry + 0.22 * large, 0, 1)
        value = np.clip(0.9 + 0.16 * tufts + 0.30 * blades, 0.2, 2)
        return Surface(tint(blend(fresh, straw, share), value), warmth=-0.8 + 0.5 * large + 0.4 * tufts, solar=3.0)

    return shade

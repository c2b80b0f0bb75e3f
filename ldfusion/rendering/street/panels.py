"""Panels of vehicles: painted sides with wheels, glass, grilles, lamps, plates, and where the engine warms them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ldfusion.rendering.world.noise import smooth
from ldfusion.rendering.world.surface import Color, Shader, Surface, Texels, band, blend, disc, tint

GLASS: Color = (0.02, 0.025, 0.03)
TRIM: Color = (0.02, 0.02, 0.022)


@dataclass(frozen=True)
class Shape:
    """Measures of a vehicle in metres; s runs forward from its middle, h up from the ground."""

    length: float
    width: float
    height: float
    sill: float
    nose: float  # height of the bonnet's front edge
    belt: float  # height of the side windows' lower edge
    cowl: float  # s of the windscreen's foot, behind the front
    roof_front: float
    roof_rear: float  # before the rear end
    rear_glass: float
    wheel: float
    lean: float  # how far the cabin leans in at the roof
    windows: bool = True  # side windows over the whole length (no: a closed cargo space)


def side(shape: Shape, paint: Color, engine: float, side: float) -> Shader:
    """Lower side with its wheels; below the sill only the wheels cover."""
    half = shape.length / 2
    axles = (half - 0.78 * shape.length / 4.5, -half + 0.80 * shape.length / 4.5)
    wheel = shape.wheel

    def shade(at: Texels) -> Surface:
        s = side * (at.u - half)
        width = np.maximum(at.du, at.dv)
        tyre, rim, arch = (np.zeros_like(s) for _ in range(3))
        for axle in axles:
            tyre = np.maximum(tyre, disc(s - axle, at.v - wheel, wheel, width))
            rim = np.maximum(rim, disc(s - axle, at.v - wheel, 0.62 * wheel, width))
            arch = np.maximum(arch, disc(s - axle, at.v - wheel - 0.02, 1.22 * wheel, width))
        height = at.v / shape.belt
        color = tint(paint, 0.72 + 0.38 * np.clip(height, 0, 1))
        seam = (
            band(s, 0.08, 0.095, width)
            + band(s, -0.98, -0.965, width)
            + band(at.v, shape.belt - 0.235, shape.belt - 0.225, width)
        )
        color = tint(color, 1 - 0.6 * np.clip(seam, 0, 1))
        color = blend(color, (0.04, 0.04, 0.04), band(at.v, 0.0, shape.sill + 0.07, at.dv) * 0.8)
        color = blend(color, (0.01, 0.01, 0.01), arch)
        color = blend(color, (0.025, 0.025, 0.025), tyre)
        angle = np.arctan2(at.v - wheel, np.where(s > 0, s - axles[0], s - axles[1]))
        color = blend(color, tint((0.36, 0.37, 0.38), 0.55 + 0.45 * np.cos(5 * angle)), rim)
        body = band(at.v, shape.sill, 9.0, at.dv)
        warm = engine * (3 * np.clip((s - half + 1.4) / 1.4, 0, 1) + 7 * tyre + 6 * rim)
        return Surface(
            color,
            warmth=warm,
            solar=9.0 * (1 - tyre),
            mirror=0.20 * (1 - np.maximum(arch, tyre)),
            bend=(0.0, np.clip(1.1 * (height - 0.62), -0.5, 0.6)),
            alpha=np.maximum(body, tyre),
        )

    return shade


def cabin_side(shape: Shape, paint: Color, length: float) -> Shader:
    """Side windows between their posts, ``length`` metres long."""
    high = shape.height - shape.belt
    panes = max(2, round(length / (1.15 if shape.windows else 3.0)))

    def shade(at: Texels) -> Surface:
        pane = length / panes
        local = at.u - np.floor(at.u / pane) * pane
        lean_in = np.abs(at.u - length / 2) - length / 2 + at.v * 0.75
        glass = (
            band(local, 0.05, pane - 0.05, at.du)
            * band(at.v, 0.05, high - 0.12, at.dv)
            * np.clip(0.5 - (lean_in + 0.12) / np.maximum(at.du, 1e-3), 0, 1)
        )
        if not shape.windows:
            glass *= 0.0
        return Surface(
            blend(paint, GLASS, glass), warmth=1.0 * glass, solar=8.0 * (1 - 0.6 * glass), mirror=0.18 + 0.3 * glass
        )

    return shade


def panel(paint: Color, warmth: float, mirror: float) -> Shader:
    """A plain painted panel."""
    return lambda at: Surface(paint, warmth=warmth, solar=10.0, mirror=mirror)


def glass() -> Shader:
    """Dark window glass."""

    def shade(at: Texels) -> Surface:
        inside = np.clip(smooth(at.u, at.v, 0.02), -1, 1)
        return Surface(tint(GLASS, 1.3 + 0.6 * inside), warmth=0.8, solar=3.0, mirror=0.42)

    return shade


def front(shape: Shape, paint: Color, engine: float, lamps: bool) -> Shader:
    """The front of a vehicle: grille, plate, head lamps, and the warmth of its engine."""
    high, wide = shape.nose - shape.sill + 0.04, shape.width

    def shade(at: Texels) -> Surface:
        side = np.abs(at.u - wide / 2)
        grille = band(side, -1, 0.27 * wide, at.du) * band(at.v, 0.42 * high, 0.82 * high, at.dv)
        intake = band(side, -1, 0.36 * wide, at.du) * band(at.v, 0.06 * high, 0.22 * high, at.dv)
        lamp = band(side, 0.31 * wide, 0.47 * wide, at.du) * band(at.v, 0.60 * high, 0.86 * high, at.dv)
        plate = band(side, -1, 0.26, at.du) * band(at.v, 0.26 * high, 0.26 * high + 0.12, at.dv)
        bars = 0.5 + 0.5 * np.cos(at.v * (2 * np.pi / 0.07))
        color = blend(paint, tint((0.10, 0.10, 0.10), bars), grille)
        color = blend(color, TRIM, intake)
        color = blend(color, (0.55, 0.55, 0.5), plate)
        color = blend(color, (0.5, 0.5, 0.52), lamp)
        glow = lamp * (5.0 if lamps else 0.0)
        return Surface(
            color,
            warmth=engine * (4 + 11 * np.maximum(grille, intake) + 4 * lamp),
            solar=8.0,
            mirror=0.15,
            emission=(glow, 0.95 * glow, 0.82 * glow),
            bend=(0.45 * (at.u - wide / 2) / wide * 2, 0.25),
        )

    return shade


def rear(rng: np.random.Generator, shape: Shape, paint: Color, engine: float, lamps: bool) -> Shader:
    """The rear of a vehicle: plate, tail lamps, and the warmth of its exhaust."""
    high, wide = shape.belt - shape.sill - 0.02, shape.width
    exhaust = float(rng.choice([0.2, 0.8]) * wide)

    def shade(at: Texels) -> Surface:
        side = np.abs(at.u - wide / 2)
        lamp = band(side, 0.36 * wide, 0.48 * wide, at.du) * band(at.v, 0.62 * high, 0.90 * high, at.dv)
        plate = band(side, -1, 0.26, at.du) * band(at.v, 0.52 * high, 0.52 * high + 0.12, at.dv)
        bumper = band(at.v, -1, 0.32 * high, at.dv)
        pipe = disc(at.u - exhaust, at.v - 0.03, 0.05, at.du)
        seam = band(at.v, 0.34 * high, 0.36 * high, at.dv)
        color = blend(tint(paint, 1 - 0.5 * seam), (0.05, 0.05, 0.05), 0.6 * bumper)
        color = blend(color, (0.55, 0.55, 0.5), plate)
        color = blend(color, (0.35, 0.01, 0.01), lamp)
        glow = lamp * (1.4 if lamps else 0.05)
        heat = engine * (2 + 4 * bumper * np.exp(-(((at.u - exhaust) / 0.35) ** 2)) + 22 * pipe)
        return Surface(
            color,
            warmth=heat,
            solar=8.0,
            mirror=0.15,
            emission=(glow, 0.03 * glow, 0.02 * glow),
            bend=(0.45 * (at.u - wide / 2) / wide * 2, 0.15),
        )

    return shade


def below(shape: Shape, engine: float) -> Shader:
    """The dark of the contact with the road, and the warmth of the engine on it."""

    def shade(at: Texels) -> Surface:
        across = np.maximum(np.abs(at.u - (shape.width + 0.9) / 2) - shape.width / 2 + 0.15, 0)
        along = np.maximum(np.abs(at.v - (shape.length + 0.9) / 2) - shape.length / 2 + 0.1, 0)
        shadow = np.clip(1 - np.hypot(across, along) / 0.55, 0, 1) ** 1.5
        dark = 0.12
        return Surface((dark, dark, dark), warmth=6 * engine, alpha=shadow)

    return shade

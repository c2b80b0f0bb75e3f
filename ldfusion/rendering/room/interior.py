"""Surfaces of a room: floors, walls with doors and windows, ceilings, and the patches of sun that come in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.noise import CLUMPS, cell, fade, grain, smooth
from ldfusion.rendering.world.surface import UP, Color, Map, Shader, Surface, Texels, band, blend, tint

WALL_PAINTS: tuple[Color, ...] = (
    (0.66, 0.63, 0.56),
    (0.60, 0.62, 0.60),
    (0.55, 0.58, 0.48),
    (0.50, 0.57, 0.62),
    (0.64, 0.52, 0.42),
    (0.68, 0.67, 0.65),
)
WOODS: tuple[Color, ...] = ((0.30, 0.18, 0.09), (0.20, 0.11, 0.06), (0.42, 0.29, 0.16), (0.36, 0.30, 0.24))


@dataclass(frozen=True)
class Opening:
    """A door or window of a wall: its kind and its extent along the wall (u) and above the floor (v) [m]."""

    kind: str
    u: tuple[float, float]
    v: tuple[float, float]


def wood(color: Color, along: str = "u", plank: float = 0.14, seed: int = 0) -> Shader:
    """Planks with grain that runs along u or v."""

    def shade(at: Texels) -> Surface:
        a, b, db = (at.u, at.v, at.dv) if along == "u" else (at.v, at.u, at.du)
        row = np.floor(b / plank)
        shift = 1.3 * cell(row, row * 0, seed)
        board = np.floor((a + shift) / 1.3)
        tone = 1 + 0.30 * (cell(row, board, seed) - 0.5)
        lines = smooth(a * 0.12 + 7 * cell(row, board, seed + 1), b, 0.006, CLUMPS) * fade(db, 0.02)
        joint = 1 - band(b - row * plank, 0.004, plank - 0.004, db)
        value = tone * (1 + 0.14 * lines) * (1 - 0.55 * joint * fade(db, 0.03))
        return Surface(tint(color, value), warmth=-0.7 + 0.4 * lines + 0.5 * (tone - 1), solar=5.0, mirror=0.05)

    return shade


def tiles(color: Color, side: float, seed: int) -> Shader:
    """Glazed tiles with light joints."""

    def shade(at: Texels) -> Surface:
        column, row = np.floor(at.u / side), np.floor(at.v / side)
        tone = 1 + 0.12 * (cell(column, row, seed) - 0.5) - 0.16 * np.mod(column + row, 2)
        inside = band(at.u - column * side, 0.006, side - 0.006, at.du) * band(
            at.v - row * side, 0.006, side - 0.006, at.dv
        )
        value = tone * (1 + 0.05 * smooth(at.u, at.v, 0.05))
        return Surface(
            blend((0.5, 0.49, 0.46), tint(color, value), inside),
            warmth=-0.6 + 0.2 * inside,
            solar=5.0,
            mirror=0.10 * inside,
        )

    return shade


def carpet(color: Color, border: tuple[float, float, float, float] | None = None) -> Shader:
    """Short pile; with a border (u0, u1, v0, v1) a rug with a frame and a diamond pattern."""

    def shade(at: Texels) -> Surface:
        pile = grain(at.u, at.v, 0.012) * fade(at.dv, 0.03)
        value = 1 + 0.16 * pile + 0.07 * smooth(at.u, at.v, 0.04)
        shown: Color = tint(color, value)
        if border is not None:
            u0, u1, v0, v1 = border
            edge = np.minimum(np.minimum(at.u - u0, u1 - at.u), np.minimum(at.v - v0, v1 - at.v))
            frame = band(edge, 0.08, 0.16, at.dv)
            figure = np.abs(np.mod(at.u * 2.5, 1) - 0.5) + np.abs(np.mod(at.v * 2.5, 1) - 0.5)
            diamond = band(figure, 0.18, 0.3, at.dv * 2.5) * (edge > 0.2)
            shown = blend(shown, (0.55, 0.48, 0.36), np.clip(frame + 0.7 * diamond, 0, 1) * (0.9 + 0.1 * pile))
        return Surface(shown, warmth=0.4, solar=6.0)

    return shade


def fabric(color: Color, warmth: float = 1.0) -> Shader:
    """Upholstery with soft folds."""

    def shade(at: Texels) -> Surface:
        folds = smooth(at.u, at.v, 0.03, CLUMPS)
        weave = grain(at.u, at.v, 0.008) * fade(at.dv, 0.02)
        seam = band(np.mod(at.u, 0.7), 0.0, 0.02, at.du)
        return Surface(
            tint(color, (1 + 0.10 * folds + 0.08 * weave) * (1 - 0.4 * seam)),
            warmth=warmth + 0.3 * folds,
            solar=4.0,
            bend=(0.15 * folds, 0.15 * folds),
        )

    return shade


def wall(
    paint: Color, size: tuple[float, float], openings: list[Opening], conditions: Conditions, seed: int, stripes: bool
) -> Shader:
    """A painted or papered wall with a skirting board, its openings, and the dark of its corners."""
    width, height = size
    day = {"day": 1.1, "dusk": 0.35, "night": 0.02, "smoke": 0.8, "fog": 0.75}[conditions.light]
    outside_celsius = {"day": 2.0, "dusk": -6.0, "night": -9.0, "smoke": -2.0, "fog": -8.0}[conditions.light]

    def shade(at: Texels) -> Surface:
        u, v = at.u, at.v
        stain = smooth(u + seed % 61, v, 0.05)
        value = 1 + 0.035 * stain + 0.03 * grain(u, v, 0.02) * fade(at.du, 0.04)
        color: Color = tint(paint, value)
        if stripes:
            color = tint(color, 1 - 0.10 * band(np.mod(u, 0.36), 0.0, 0.18, at.du))
        gaps = np.minimum(np.minimum(u, width - u), np.minimum(v + 0.05, height - v))
        color = tint(color, 0.62 + 0.38 * np.clip(gaps / 0.5, 0, 1) ** 0.5)
        color = blend(color, (0.62, 0.61, 0.58), band(v, -1, 0.11, at.dv))
        warmth: Map = (
            0.35 * stain
            - 0.35 * band(np.mod(u, 0.6), 0.0, 0.06, at.du)
            + 0.5 * v / height
            - 1.2 * np.clip(1 - gaps / 0.35, 0, 1)
        )
        glow: Color = (np.zeros_like(u),) * 3
        mirror: Map = np.zeros_like(u)
        for opening in openings:
            if opening.kind == "door":
                color, warmth = _door(opening, at, color, warmth)
            else:
                color, warmth, glow, mirror = _window(
                    opening, at, (color, warmth, glow, mirror), (day, outside_celsius, seed)
                )
        return Surface(color, warmth=warmth, solar=5.0, mirror=mirror, emission=glow)

    return shade


def _door(opening: Opening, at: Texels, color: Color, warmth: Map) -> tuple[Color, Map]:
    (u0, u1), (_, top) = opening.u, opening.v
    casing = band(at.u, u0 - 0.09, u1 + 0.09, at.du) * band(at.v, -1, top + 0.09, at.dv)
    leaf = band(at.u, u0, u1, at.du) * band(at.v, 0.01, top, at.dv)
    across = np.abs(at.u - (u0 + u1) / 2)
    panel = band(across, 0.06, (u1 - u0) / 2 - 0.12, at.du) * (
        band(at.v, 0.18, 0.92, at.dv) + band(at.v, 1.08, top - 0.15, at.dv)
    )
    inset = band(across, 0.085, (u1 - u0) / 2 - 0.145, at.du) * (
        band(at.v, 0.21, 0.89, at.dv) + band(at.v, 1.11, top - 0.18, at.dv)
    )
    knob = band(at.u, u1 - 0.13, u1 - 0.03, at.du) * band(at.v, 1.0, 1.03, at.dv)
    color = blend(color, (0.60, 0.58, 0.54), casing)
    color = blend(color, tint((0.52, 0.49, 0.43), 1 - 0.35 * (panel - inset).clip(0, 1)), leaf)
    return blend(color, (0.10, 0.09, 0.08), knob), warmth + 0.5 * leaf - 0.8 * (casing - leaf).clip(0, 1)


Layers = tuple[Color, Map, Color, Map]


def _window(opening: Opening, at: Texels, layers: Layers, outside: tuple[float, float, int]) -> Layers:
    """Frame, panes with the view outside, curtains and sill."""
    color, warmth, glow, mirror = layers
    day, celsius, seed = outside
    (u0, u1), (v0, v1) = opening.u, opening.v
    hole = band(at.u, u0, u1, at.du) * band(at.v, v0, v1, at.dv)
    middle = np.abs(at.u - (u0 + u1) / 2)
    pane = (
        hole
        * band(middle, 0.035, (u1 - u0) / 2 - 0.06, at.du)
        * band(at.v, v0 + 0.06, v1 - 0.06, at.dv)
        * (1 - band(at.v, v1 - 0.48, v1 - 0.43, at.dv))
    )
    height = (at.v - v0) / (v1 - v0)
    trees = np.clip((0.42 + 0.10 * smooth(at.u + seed % 37, at.v * 0 + 3, 0.02) - height) * 12, 0, 1)
    leaves = 1 + 0.3 * smooth(at.u, at.v, 0.012, CLUMPS)
    sky = (0.62 + 0.2 * height) * day
    view: Color = blend((0.85 * sky, 0.95 * sky, 1.08 * sky), tint((0.16 * day, 0.22 * day, 0.10 * day), leaves), trees)
    curtain = band(at.v, 0.25, v1 + 0.12, at.dv) * band(middle, (u1 - u0) / 2 - 0.16, (u1 - u0) / 2 + 0.24, at.du)
    folds = 0.75 + 0.25 * np.cos(at.u * (2 * np.pi / 0.11))
    sill = band(at.u, u0 - 0.1, u1 + 0.1, at.du) * band(at.v, v0 - 0.06, v0, at.dv)
    rod = band(at.u, u0 - 0.35, u1 + 0.35, at.du) * band(at.v, v1 + 0.12, v1 + 0.15, at.dv)
    color = blend(color, (0.66, 0.66, 0.64), np.maximum(hole, sill))
    color = blend(color, (0.03, 0.03, 0.035), pane)
    color = blend(blend(color, tint((0.46, 0.40, 0.32), folds), curtain), (0.10, 0.08, 0.06), rod)
    through = pane * (1 - curtain)
    glow = glow[0] + view[0] * through, glow[1] + view[1] * through, glow[2] + view[2] * through
    lit = 0.25 * day * curtain * hole * folds
    glow = glow[0] + lit, glow[1] + 0.9 * lit, glow[2] + 0.7 * lit
    frame = (hole - pane).clip(0, 1)
    warmth = warmth + (celsius - warmth) * 0.8 * through + 0.16 * celsius * frame - 0.5 * curtain
    return color, warmth, glow, np.maximum(mirror, 0.18 * through)


def ceiling(width: tuple[float, float], depth: tuple[float, float]) -> Shader:
    """A white ceiling, darker along the walls; its facet has u along z and v along x."""

    def shade(at: Texels) -> Surface:
        gaps = np.minimum(np.minimum(at.v - width[0], width[1] - at.v), np.minimum(at.u - depth[0], depth[1] - at.u))
        value = 0.70 * (0.66 + 0.34 * np.clip(gaps / 0.6, 0, 1) ** 0.5) * (1 + 0.02 * smooth(at.u, at.v, 0.06))
        return Surface((value, value, 0.98 * value), warmth=1.2 - 1.4 * np.clip(1 - gaps / 0.35, 0, 1))

    return shade


@dataclass(frozen=True, eq=False)
class SunPatches:
    """Where the sun comes through the windows of a room; takes the place of a shadow map."""

    sun: NDArray[np.float64]
    frames: list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]]
    """Per window: lower left corner, unit axis along the wall, width and height; all seen from inside."""

    def lit(self, points: tuple[Map, Map, Map]) -> Map:
        """Share of the sun at world points given as three (H, W) maps."""
        total = np.zeros_like(points[0])
        for corner, along, width, height in self.frames:
            inward = np.array([along[2], 0.0, -along[0]])  # along x up, seen from inside
            slope = float(self.sun @ inward)
            if slope > -0.05:  # the sun stands behind the wall's room side
                continue
            steps = sum(np.float32(inward[k]) * (np.float32(corner[k]) - points[k]) for k in range(3)) * np.float32(
                1 / slope
            )
            hit = [points[k] + steps * np.float32(self.sun[k]) - np.float32(corner[k]) for k in range(3)]
            u, v = sum(np.float32(along[k]) * hit[k] for k in range(3)), -hit[1]
            soft = 0.012 + 0.006 * np.abs(steps)
            frame = (
                band(np.abs(u - width / 2), 0.04, width / 2 - 0.16, soft)
                * band(v, 0.06, height - 0.06, soft)
                * (1 - band(v, height - 0.48, height - 0.43, soft))
            )
            total = np.maximum(total, frame * (steps > 0))
        return total


__all__ = ["UP", "Opening", "SunPatches", "carpet", "ceiling", "fabric", "tiles", "wall", "wood"]

"""Ground floors of house fronts: shop windows with goods and signs, or doors and plain windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ldfusion.rendering.world.noise import CLUMPS, cell, smooth
from ldfusion.rendering.world.surface import Color, Map, Texels, band, blend, tint


@dataclass(frozen=True)
class Facade:
    """Measures and looks of one house front [m]."""

    width: float
    height: float
    material: str
    color: Color
    storey: float
    bay: float
    window: tuple[float, float]
    shop: bool
    sign: Color
    awning: bool
    balconies: bool
    lit: float  # share of lit windows
    seed: int


Layers = tuple[Color, Color, Map, Map]


def ground_floor(face: Facade, at: Texels, across: Map, column: Map, first: float, layers: Layers) -> Layers:
    """Shop windows below a sign, or a door and plain windows."""
    color, light, warmth, mirror = layers
    v = at.v
    chance = cell(column + 7, column * 0, face.seed)
    half = face.bay / 2
    if face.shop:
        pane = band(np.abs(across), -1, half - 0.18, at.du) * band(v, 0.5, first - 0.85, at.dv)
        door = (chance < 0.3) * band(np.abs(across), -1, 0.5, at.du) * band(v, 0.02, first - 0.95, at.dv)
        opening = np.maximum(pane, door)
        mullion = 1 - band(np.abs(across), 0.03, half - 0.22, at.du)
        glass = opening * (1 - 0.9 * mullion)
        room, goods = _display(face, at, first)
        color = blend(color, (0.07, 0.07, 0.075), opening * mullion)
        color = blend(color, tint(room, 0.25), glass)
        board = band(v, first - 0.78, first - 0.18, at.dv)
        letters = (
            board
            * band(v, first - 0.62, first - 0.34, at.dv)
            * (smooth(at.u * 3, v * 0.35, 0.05, CLUMPS) > 0.35)
            * band(np.abs(across), -1, half * 0.75, at.du)
        )
        color = blend(blend(color, face.sign, board), (0.75, 0.75, 0.7), 0.8 * letters)
        open_late = face.lit > 0
        glow = glass * (1.0 if open_late else 0.04)
        neon = letters * (0.9 if open_late else 0.0)
        light = (
            light[0] + room[0] * glow + neon,
            light[1] + room[1] * glow + 0.8 * neon,
            light[2] + room[2] * glow + 0.7 * neon,
        )
        warmth = warmth + glass * (2.2 - 0.5 * goods) + 0.6 * board
        mirror = np.maximum(mirror, 0.3 * glass)
        if face.awning:
            cloth = band(v, first - 1.15, first - 0.75, at.dv)
            stripes = band(np.mod(at.u, 0.6), 0.0, 0.3, at.du)
            color = blend(color, blend(face.sign, (0.7, 0.68, 0.62), stripes), cloth)
            warmth, mirror = warmth + 0.8 * cloth, mirror * (1 - cloth)
        return color, light, warmth, mirror
    door = (chance < 0.34) * band(np.abs(across), -1, 0.55, at.du) * band(v, 0.02, 2.25, at.dv)
    panels = band(np.abs(np.abs(across) - 0.26), -1, 0.16, at.du) * (
        band(v, 0.25, 0.95, at.dv) + band(v, 1.15, 1.95, at.dv)
    )
    window = (
        (chance >= 0.34)
        * band(np.abs(across), -1, face.window[0] / 2, at.du)
        * band(v, 1.0, 1.0 + min(face.window[1], first - 1.5), at.dv)
    )
    cross = 1 - band(np.abs(across), 0.035, face.window[0] / 2 - 0.07, at.du)
    color = blend(color, tint(face.sign, 0.5 + 0.25 * panels), door)
    color = blend(color, (0.03, 0.035, 0.04), window)
    color = blend(color, (0.5, 0.49, 0.46), window * cross)
    glow = window * (1 - cross) * (chance < 0.34 + 0.66 * face.lit) * (face.lit > 0)
    light = light[0] + 1.0 * glow, light[1] + 0.7 * glow, light[2] + 0.35 * glow
    return color, light, warmth + window + 0.8 * door, np.maximum(mirror, 0.4 * window * (1 - cross))


def _display(face: Facade, at: Texels, first: float) -> tuple[Color, Map]:
    """A shop behind its window, its back wall, lamps and goods on shelves: colour, and where the goods are."""
    column, row = np.floor(at.u / 0.31), np.floor(at.v / 0.46)
    x, y = at.u / 0.31 - column, at.v / 0.46 - row
    chance = cell(column, row, face.seed + 11)
    wide, tall = 0.22 + 0.24 * chance, 0.35 + 0.6 * cell(column, row, face.seed + 12)
    seen = (chance > 0.25) * (at.v < 0.72 * first) * (cell(np.floor(column / 7), row * 0, face.seed) > 0.3)
    goods = band(np.abs(x - 0.5), -1, wide, at.du / 0.31) * band(y, 0.04, tall, at.dv / 0.46) * seen
    hue = cell(column // 3, row, face.seed + 14)
    value = 0.10 + 0.55 * cell(column, row, face.seed + 13)
    paint: Color = (value * (0.75 + 0.5 * hue), value * (0.95 - 0.2 * hue), value * (1.05 - 0.6 * hue))
    high = np.clip(at.v / first, 0, 1)
    board = 1 - 0.5 * band(y, 0.0, 0.05, at.dv / 0.46) * (at.v < 0.72 * first)
    back = (0.18 + 0.62 * high**1.5) * board
    lamps = band(np.mod(at.u, 1.3), 0.5, 0.8, at.du) * band(at.v, 0.86 * first - 0.55, 0.86 * first - 0.45, at.dv)
    room = blend((0.95 * back, 0.80 * back, 0.58 * back), tint(paint, 0.35 + 0.5 * high), goods)
    return blend(room, (2.2, 2.1, 1.8), lamps), goods

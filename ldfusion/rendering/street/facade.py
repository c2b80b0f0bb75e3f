"""House fronts: walls of brick, plaster, concrete or stone with storeys of windows, doors, shops and cornices."""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.street.shop import Facade, ground_floor
from ldfusion.rendering.world.noise import cell, fade, grain, smooth
from ldfusion.rendering.world.surface import Color, Map, Shader, Surface, Texels, band, blend, mix, tint

WALLS: tuple[tuple[str, Color], ...] = (
    ("brick", (0.33, 0.13, 0.085)),
    ("brick", (0.25, 0.15, 0.11)),
    ("brick", (0.42, 0.28, 0.18)),
    ("plaster", (0.62, 0.54, 0.42)),
    ("plaster", (0.66, 0.62, 0.55)),
    ("plaster", (0.52, 0.34, 0.26)),
    ("plaster", (0.40, 0.46, 0.50)),
    ("concrete", (0.36, 0.36, 0.35)),
    ("concrete", (0.45, 0.43, 0.40)),
    ("stone", (0.44, 0.40, 0.33)),
)
SHOP_SIGNS: tuple[Color, ...] = (
    (0.55, 0.05, 0.05),
    (0.05, 0.18, 0.42),
    (0.06, 0.30, 0.12),
    (0.62, 0.42, 0.05),
    (0.06, 0.06, 0.07),
    (0.5, 0.5, 0.48),
)


def sample_facade(rng: np.random.Generator, width: float, storeys: int, lit: float, shop: float = 0.5) -> Facade:
    """Looks of a house of the given width and number of storeys."""
    material, color = WALLS[rng.integers(len(WALLS))]
    tone = float(rng.uniform(0.8, 1.15))
    storey = float(rng.uniform(2.9, 3.6))
    bays = max(1, round(width / float(rng.uniform(2.2, 3.6))))
    bay = width / bays
    window = (float(rng.uniform(0.40, 0.62)) * bay, float(rng.uniform(0.45, 0.62)) * storey)
    sign = SHOP_SIGNS[rng.integers(len(SHOP_SIGNS))]
    flags = rng.random(3)
    return Facade(
        width,
        storeys * storey + 0.7,
        material,
        tint(color, tone),
        storey,
        bay,
        window,
        bool(flags[0] < shop),
        sign,
        bool(flags[1] < 0.4),
        bool(flags[2] < 0.25 and storeys > 2),
        lit,
        int(rng.integers(1 << 20)),
    )


def wall(material: str, color: Color, at: Texels, seed: int) -> tuple[Color, Map]:
    """Colour of a bare wall, and the noise of its large stains (also used for its temperature)."""
    width = np.maximum(at.du, at.dv)
    stain = smooth(at.u + seed % 89, at.v * 0.6, 0.11)
    if material == "brick":
        row = np.floor(at.v / 0.085)
        x = at.u / 0.26 + 0.5 * np.mod(row, 2)
        column = np.floor(x)
        seen = fade(width, 0.07)
        tone = 1 + 0.45 * (cell(column, row, seed) - 0.5) * seen
        mortar = (
            1 - band(x - column, 0.035, 0.965, at.du / 0.26) * band(at.v / 0.085 - row, 0.09, 0.91, at.dv / 0.085)
        ) * seen
        share = 0.7 * mix(0.16, mortar, seen)
        return blend(tint(color, tone * (1 + 0.07 * stain)), (0.38, 0.35, 0.32), share), stain
    fine = grain(at.u, at.v, 0.02) * fade(width, 0.05)
    value = 1 + 0.08 * stain + 0.05 * fine
    if material in ("concrete", "stone"):
        size = (2.4, 1.2) if material == "concrete" else (0.8, 0.4)
        row = np.floor(at.v / size[1])
        x = at.u + (0.5 * size[0] * np.mod(row, 2) if material == "stone" else 0.0)
        column = np.floor(x / size[0])
        joint = 1 - band(x - column * size[0], 0.015, size[0] - 0.015, at.du) * band(
            at.v - row * size[1], 0.015, size[1] - 0.015, at.dv
        )
        value = (
            value
            * (1 + (0.10 if material == "concrete" else 0.26) * (cell(column, row, seed) - 0.5))
            * (1 - 0.35 * joint * fade(width, 0.25))
        )
    return tint(color, value), stain


def house_front(face: Facade) -> Shader:
    """The street side of a house; v is the height above the ground."""
    half_w, high_w = face.window[0] / 2, face.window[1]
    first = face.storey * (1.15 if face.shop else 1.0)

    def shade(at: Texels) -> Surface:
        u, v = at.u, at.v
        color, stain = wall(face.material, face.color, at, face.seed)
        top = face.height
        column = np.floor(u / face.bay)
        across = u - (column + 0.5) * face.bay
        floor = np.floor((v - first) / face.storey) + 1
        local = v - first - (floor - 1) * face.storey
        upper = (v > first) & (v < top - 0.75)
        sill = 0.28 * face.storey
        opening = band(across, -half_w, half_w, at.du) * band(local, sill, sill + high_w, at.dv) * upper
        frame = 1 - band(np.abs(across), 0.035, half_w - 0.07, at.du) * band(
            local, sill + 0.07, sill + high_w - 0.07, at.dv
        )
        surround = (
            band(across, -half_w - 0.12, half_w + 0.12, at.du)
            * band(local, sill - 0.14, sill + high_w + 0.1, at.dv)
            * upper
        )
        color = blend(color, tint(face.color, 1.25), 0.55 * (surround - opening).clip(0, 1))
        reveal = 1 - 0.6 * band(local, sill + high_w - 0.16, sill + high_w, at.dv)
        # Each window has its own curtain and its own light.
        chance, draw = cell(column, floor, face.seed), cell(column + 31, floor, face.seed)
        curtain = (chance > 0.45) * band(np.abs(across), half_w * mix(0.35, 0.8, draw), half_w, at.du)
        lit = (draw < face.lit) * np.clip(1 - 0.5 * (local - sill - high_w) ** 2 / high_w**2, 0.3, 1)
        glass = opening * (1 - frame * 0.999)
        inner = blend(tint((0.025, 0.03, 0.035), reveal), (0.30, 0.28, 0.24), 0.8 * curtain)
        color = blend(color, (0.5, 0.49, 0.46), opening * frame)
        color = blend(color, inner, glass)
        glow = glass * lit * mix(0.35, 1.0, chance) * (1 - 0.45 * curtain)
        light: Color = (1.10 * glow, mix(0.62, 0.95, chance) * glow, mix(0.28, 0.80, chance) * glow)
        warmth = (
            1.2
            + 0.35 * stain
            + 0.9 * band(local, -0.15, 0.15, at.dv) * (v > 1)
            + glass * (0.8 + 2.0 * lit)
            + opening * frame
        )
        mirror = 0.40 * glass * (1 - 0.6 * curtain)
        if face.balconies:
            slab = (
                band(local, sill - 0.75, sill - 0.6, at.dv) * band(across, -half_w - 0.45, half_w + 0.45, at.du) * upper
            )
            rail = (
                band(local, sill - 0.6, sill + 0.3, at.dv) * band(across, -half_w - 0.42, half_w + 0.42, at.du) * upper
            )
            bars = band(np.mod(across, 0.14), 0.0, 0.035, at.du) + band(local, sill + 0.24, sill + 0.3, at.dv)
            color = blend(blend(color, (0.06, 0.06, 0.065), rail * np.clip(bars, 0, 1)), (0.4, 0.4, 0.38), slab)
            warmth = warmth - 0.8 * slab
        color, light, warmth, mirror = ground_floor(face, at, across, column, first, (color, light, warmth, mirror))
        cornice = band(v, top - 0.55, top - 0.1, at.dv)
        shadow = band(v, top - 0.85, top - 0.55, at.dv)
        plinth = band(v, -1, 0.45, at.dv)
        color = blend(
            tint(color, (1 - 0.4 * shadow) * mix(0.72, 1.0, np.clip(v / 1.6, 0, 1))), tint(face.color, 1.15), cornice
        )
        color = blend(color, (0.22, 0.21, 0.20), 0.75 * plinth * (1 - mirror))
        # Gutters and joints between houses darken the sides, rain streaks the wall.
        side = np.minimum(u, face.width - u)
        color = tint(color, 1 - 0.35 * np.clip(1 - side / 0.18, 0, 1))
        return Surface(color, warmth=warmth, solar=7.0 * (1 - 0.8 * glass), mirror=mirror, emission=light)

    return shade


def blank_wall(material: str, color: Color, seed: int, height: float) -> Shader:
    """The windowless side of a house or a garden wall with a coping."""

    def shade(at: Texels) -> Surface:
        base, stain = wall(material, color, at, seed)
        coping = band(at.v, height - 0.14, height + 1, at.dv)
        base = blend(tint(base, mix(0.7, 1.0, np.clip(at.v / 1.2, 0, 1))), (0.40, 0.39, 0.37), coping)
        return Surface(base, warmth=1.0 + 0.4 * stain, solar=7.0)

    return shade


def roof_tiles(color: Color) -> Shader:
    """Rows of tiles; v runs up the slope."""

    def shade(at: Texels) -> Surface:
        row = np.floor(at.v / 0.33)
        wave = 0.82 + 0.18 * np.cos(at.u * (2 * np.pi / 0.3)) * fade(at.du, 0.1)
        edge = 1 - 0.35 * band(at.v / 0.33 - row, 0.0, 0.18, at.dv / 0.33)
        return Surface(tint(color, wave * edge * (1 + 0.12 * smooth(at.u, at.v, 0.08))), warmth=-1.0, solar=10.0)

    return shade

"""Trees, bushes and hedges: clusters of leaf balls on cards, broken up by noise, on capsule trunks and branches.

``viewer`` is the place (3,) of the camera [m], which the cards face.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.figures import Part, extent, figure
from ldfusion.rendering.world.noise import CLUMPS, fade, grain, smooth
from ldfusion.rendering.world.surface import (
    Color,
    Facet,
    Shader,
    Surface,
    Texels,
    Thing,
    card,
    level,
    mix,
    tint,
    upright,
)

GREENS: tuple[Color, ...] = ((0.085, 0.15, 0.035), (0.06, 0.12, 0.03), (0.12, 0.17, 0.04), (0.05, 0.10, 0.045))
AUTUMN: tuple[Color, ...] = ((0.30, 0.16, 0.03), (0.28, 0.09, 0.03), (0.24, 0.20, 0.04))
BARK: tuple[float, float, float] = (0.13, 0.095, 0.07)


def tree(
    rng: np.random.Generator,
    at: tuple[float, float],
    viewer: NDArray[np.float64],
    autumn: float = 0.15,
    floor: float = 0.0,
) -> Thing:
    """A broad-leaved tree, a conifer or a bare one at the ground point (x, z)."""
    foot = np.array([at[0], -floor, at[1]])
    kind = rng.choice(["broad", "broad", "broad", "cone", "bare"])
    height = float(rng.uniform(4.5, 9.0))
    leaf = AUTUMN[rng.integers(len(AUTUMN))] if rng.random() < autumn else GREENS[rng.integers(len(GREENS))]
    if kind == "cone":
        rows = np.arange(10)
        balls = np.column_stack(
            [rng.normal(0, 0.05, 10), 1.3 + (height - 1.6) * rows / 9, (1 - rows / 9.5) * 0.18 * height]
        )
        stem = foot + 0.12 * (foot - viewer) / np.linalg.norm(foot - viewer) * np.array([1, 0, 1])
        crown, trunk = _crown(rng, balls, (0.04, 0.085, 0.035), 0.5), _trunk(rng, 1.6, 0.1 + 0.012 * height, 0)
        return Thing(
            "tree",
            [
                card(stem, viewer, extent(trunk), figure(trunk, folds=0.2, solar=3.0)),
                _facing(foot, viewer, balls, crown),
            ],
            anchor=foot,
        )
    trunk = _trunk(rng, height * (0.95 if kind == "bare" else 0.62), 0.05 + 0.022 * height, 5 if kind == "bare" else 2)
    bole = card(foot, viewer, extent(trunk), figure(trunk, folds=0.25, solar=3.0))
    if kind == "bare":
        return Thing("tree", [bole], anchor=foot)
    spread = height * float(rng.uniform(0.24, 0.36))
    facets = [bole]
    for layer in range(2):
        count = int(rng.integers(7, 11))
        # Balls in a sunflower's order fill the crown evenly.
        angle = 2.4 * np.arange(count) + rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.25, count)
        away = np.sqrt((np.arange(count) + rng.uniform(0.2, 0.8, count)) / count)
        centers = np.stack([spread * away * np.cos(angle), height * 0.70 + 0.24 * height * away * np.sin(angle)], 1)
        balls = np.column_stack([centers, spread * rng.uniform(0.32, 0.58, count)])
        balls[0] = 0.0, height * 0.72, 0.62 * spread  # no gap in the middle
        shift = foot + np.array([0, 0, (0.5 - layer) * spread * 0.6])
        facets.append(_facing(shift, viewer, balls, _crown(rng, balls, tint(leaf, 1.0 if layer else 0.75), 0.75)))
    return Thing("tree", facets, anchor=foot)


def bush(rng: np.random.Generator, at: tuple[float, float], viewer: NDArray[np.float64], floor: float = 0.0) -> Thing:
    """A round bush, 0.7 to 1.5 m high."""
    foot = np.array([at[0], -floor, at[1]])
    size = float(rng.uniform(0.7, 1.5))
    count = 7
    balls = np.column_stack(
        [
            rng.uniform(-0.55, 0.55, count) * size,
            rng.uniform(0.25, 0.62, count) * size,
            rng.uniform(0.26, 0.4, count) * size,
        ]
    )
    return Thing(
        "bush", [_facing(foot, viewer, balls, _crown(rng, balls, GREENS[rng.integers(len(GREENS))], 0.45))], anchor=foot
    )


def hedge(
    rng: np.random.Generator,
    start: tuple[float, float],
    end: tuple[float, float],
    height: float,
    depth: float,
    floor: float = 0.0,
) -> Thing:
    """A clipped hedge between two ground points, seen from the side on which `start` is to the left."""
    color = GREENS[rng.integers(len(GREENS))]
    along = np.array([end[0] - start[0], end[1] - start[1]])
    length = float(np.linalg.norm(along))
    back = np.array([-along[1], along[0]]) / length * depth
    far_end, far_start = (end[0] + back[0], end[1] + back[1]), (start[0] + back[0], start[1] + back[1])
    wall = _leaves(rng, color, height)
    facets = [upright(a, b, height, wall, floor=floor) for a, b in ((start, end), (end, far_end), (far_start, start))]
    xs, zs = (sorted(point[k] for point in (start, end, far_end, far_start)) for k in range(2))
    if min(abs(along)) < 1e-6:
        facets.append(level((xs[0], xs[-1]), (zs[0], zs[-1]), floor + height - 0.05, _leaves(rng, color, None)))
    middle = np.array([(start[0] + end[0]) / 2, -floor, (start[1] + end[1]) / 2])
    return Thing("hedge", facets, anchor=middle)


def _facing(
    foot: NDArray[np.float64],
    viewer: NDArray[np.float64],
    balls: NDArray[np.float64],
    shader: Shader,
) -> Facet:
    low, high = (balls[:, :2] - 1.15 * balls[:, 2:]).min(0), (balls[:, :2] + 1.15 * balls[:, 2:]).max(0)
    return card(foot, viewer, (float(low[0]), float(high[0]), max(0.0, float(low[1])), float(high[1])), shader)


def _crown(rng: np.random.Generator, balls: NDArray[np.float64], color: Color, leaf: float) -> Shader:
    """Leaf balls (n, 3) of card position and radius; `leaf` sets how ragged their outline is."""
    x, y, r = (np.asarray(balls[:, k], np.float32)[:, None, None] for k in range(3))
    shift = float(rng.uniform(0, 100))
    bottom, top = float((y - r).min()), float((y + r).max())

    def shade(at: Texels) -> Surface:
        width = np.maximum(at.du, at.dv)
        u, v = at.u + np.float32(shift), at.v
        clumps = smooth(u, v, 0.045, CLUMPS)
        leaves = grain(u, v, 0.03) * fade(width, 0.05)
        away = [(at.u - x) / r, (at.v - y) / r]
        rim = np.sqrt(away[0] ** 2 + away[1] ** 2)
        nearest = rim.argmin(0)[None]
        rim = np.take_along_axis(rim, nearest, 0)[0]
        bend = [np.take_along_axis(part, nearest, 0)[0] for part in away]
        radius = float(r.mean())
        inside = (1 - rim) * radius + radius * leaf * 0.28 * clumps + 0.05 * leaves
        alpha = np.clip(inside / np.maximum(width, 0.02) + 0.5, 0, 1)
        height = (at.v - bottom) / (top - bottom)
        light = np.clip(0.62 + 0.42 * height + 0.24 * clumps + 0.32 * leaves, 0.12, 2.0) * (
            1 - 0.22 * np.clip(rim, 0, 1) ** 4
        )
        rough = 0.30 * clumps
        return Surface(
            tint(color, light),
            warmth=0.4 + 0.5 * clumps,
            solar=1.5,
            bend=(np.clip(0.75 * bend[0] + rough, -0.9, 0.9), np.clip(0.75 * bend[1] + 0.25 + rough, -0.9, 0.9)),
            alpha=alpha,
        )

    return shade


def _trunk(rng: np.random.Generator, height: float, radius: float, depth: int) -> list[Part]:
    """A trunk that forks into branches `depth` times."""
    parts: list[Part] = []

    def grow(start: tuple[float, float], angle: float, length: float, thick: float, levels: int) -> None:
        end = (start[0] + length * float(np.sin(angle)), start[1] + length * float(np.cos(angle)))
        parts.append(Part(start, end, (thick, thick * 0.72), BARK, 0.6, -levels))
        if levels > 0:
            for side in (-1, 1):
                turn = side * float(rng.uniform(0.25, 0.62))
                grow(end, angle * 0.8 + turn, length * float(rng.uniform(0.62, 0.82)), thick * 0.62, levels - 1)

    share = 1.0 if depth == 0 else (0.34 if depth > 3 else 0.5)
    grow((0.0, -0.05), float(rng.normal(0, 0.05)), height * share, radius, depth)
    parts.append(Part((0.0, -0.05), (0.0, 0.35), (radius * 1.5, radius), BARK, 0.6, -9))
    return parts


def _leaves(rng: np.random.Generator, color: Color, height: float | None) -> Shader:
    """Clipped foliage; with a height, a wall with a ragged upper edge and a dark foot."""
    shift = float(rng.uniform(0, 50))

    def shade(at: Texels) -> Surface:
        width = np.maximum(at.du, at.dv)
        u = at.u + np.float32(shift)
        clumps = smooth(u, at.v, 0.03, CLUMPS)
        leaves = grain(u, at.v, 0.025) * fade(width, 0.05)
        light = np.clip(0.85 + 0.25 * clumps + 0.4 * leaves, 0.15, 2.0)
        alpha = None
        if height is not None:
            light = light * mix(0.45, 1.05, np.clip(at.v / height, 0, 1))
            alpha = np.clip((height - 0.06 - at.v + 0.05 * clumps) / np.maximum(at.dv, 0.01) + 0.5, 0, 1)
        return Surface(
            tint(color, light),
            warmth=0.3 + 0.4 * clumps,
            solar=1.5,
            bend=(np.clip(0.35 * clumps, -0.8, 0.8), np.clip(0.2 + 0.35 * leaves, -0.8, 0.8)),
            alpha=alpha,
        )

    return shade

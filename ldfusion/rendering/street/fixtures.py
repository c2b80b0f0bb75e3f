"""Street furniture: lamps, traffic lights, signs, bollards, cones, bins, benches, bicycles, guard rails, car stops,
speed bumps. ``viewer`` is the place (3,) of the camera [m], which cards face.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.conditions import RGB, scaled
from ldfusion.rendering.world.figures import Part, extent, figure
from ldfusion.rendering.world.people import person
from ldfusion.rendering.world.surface import (
    Thing,
    card,
)

Point = tuple[float, float]
STEEL = (0.20, 0.21, 0.22)
DARK = (0.035, 0.04, 0.04)


def _figure(
    name: str,
    at: Point,
    viewer: NDArray[np.float64],
    parts: list[Part],
    label: int = 0,
    floor: float = 0.0,
    solar: float = 4.0,
) -> Thing:
    foot = np.array([at[0], -floor, at[1]])
    return Thing(name, [card(foot, viewer, extent(parts), figure(parts, solar=solar))], label=label, anchor=foot)


def lamp_post(
    rng: np.random.Generator, at: Point, viewer: NDArray[np.float64], side: float, lit: bool, color: RGB, floor: float
) -> tuple[Thing, NDArray[np.float64]]:
    """A street lamp whose arm reaches over the road; returns it and the (3,) place of its light."""
    height = float(rng.uniform(5.0, 6.5))
    reach = -side * 1.3
    glow = scaled(color, 9.0) if lit else None
    parts = [
        Part((0, 0), (0, 0.9), (0.10, 0.085), DARK, 0.3),
        Part((0, 0.9), (0, height), (0.07, 0.045), DARK, 0.3),
        Part((0, height), (0.75 * reach, height + 0.30), (0.04, 0.035), DARK, 0.2, 1),
        Part((0.7 * reach, height + 0.30), (1.0 * reach, height + 0.30), (0.09, 0.07), DARK, 4.0 if lit else 0.2, 2),
        Part(
            (0.76 * reach, height + 0.22),
            (0.98 * reach, height + 0.22),
            (0.05, 0.05),
            (0.6, 0.6, 0.55),
            14.0 if lit else 0.2,
            3,
            glow=glow,
        ),
    ]
    light = np.array([at[0] + 0.88 * reach, -floor - height - 0.1, at[1]])
    return _figure("lamp post", at, viewer, parts, floor=floor), light


def traffic_light(rng: np.random.Generator, at: Point, viewer: NDArray[np.float64], floor: float) -> Thing:
    """A signal on a post, one of its three lamps on."""
    on = int(rng.integers(3))
    colors: tuple[RGB, ...] = ((0.9, 0.03, 0.02), (0.9, 0.5, 0.02), (0.03, 0.8, 0.35))
    parts = [Part((0, 0), (0, 2.6), (0.06, 0.05), STEEL, 0.2), Part((0, 2.45), (0, 3.05), (0.17, 0.17), DARK, 0.6, 1)]
    for k, color in enumerate(colors):
        up = 3.03 - 0.28 * k
        shown = color if k == on else scaled(color, 0.15)
        glow = scaled(color, 2.2) if k == on else None
        parts.append(Part((0, up), (0, up), (0.10, 0.10), shown, 9.0 if k == on else 0.8, 2, glow=glow))
    return _figure("traffic light", at, viewer, parts, floor=floor)


def sign(rng: np.random.Generator, at: Point, viewer: NDArray[np.float64], floor: float) -> Thing:
    """A round, triangular or square traffic sign on a pole."""
    kind = rng.integers(3)
    top = float(rng.uniform(2.1, 2.5))
    parts = [Part((0, 0), (0, top), (0.035, 0.035), STEEL, 0.2)]
    if kind == 0:
        parts += [
            Part((0, top), (0, top), (0.33, 0.33), (0.55, 0.03, 0.03), -0.8, 1),
            Part((0, top), (0, top), (0.25, 0.25), (0.7, 0.7, 0.7), -0.8, 2),
        ]
        parts.append(Part((-0.12, top), (0.12, top), (0.05, 0.05), DARK, -0.6, 3))
    elif kind == 1:
        for k in range(8):  # rows that widen to a triangle
            half = 0.36 * (8 - k) / 8
            parts.append(
                Part(
                    (-half, top - 0.25 + 0.08 * k),
                    (half, top - 0.25 + 0.08 * k),
                    (0.045, 0.045),
                    (0.55, 0.03, 0.03),
                    -0.8,
                    1,
                )
            )
        for k in range(5):
            half = 0.22 * (5 - k) / 5
            parts.append(
                Part(
                    (-half, top - 0.17 + 0.07 * k),
                    (half, top - 0.17 + 0.07 * k),
                    (0.035, 0.035),
                    (0.7, 0.7, 0.66),
                    -0.8,
                    2,
                )
            )
    else:
        color = (0.03, 0.12, 0.45) if rng.random() < 0.6 else (0.05, 0.3, 0.12)
        parts += [Part((-0.2, top + k), (0.2, top + k), (0.12, 0.12), color, -0.8, 1) for k in (-0.2, 0.0, 0.2)]
        parts.append(Part((-0.08, top - 0.18), (0.10, top + 0.16), (0.04, 0.04), (0.7, 0.7, 0.7), -0.8, 2))
    return _figure("sign", at, viewer, parts, floor=floor)


def bollard(at: Point, viewer: NDArray[np.float64], floor: float) -> Thing:
    """A steel bollard with a reflecting ring."""
    parts = [
        Part((0, 0), (0, 0.82), (0.085, 0.08), (0.10, 0.10, 0.10), -0.5),
        Part((-0.07, 0.7), (0.07, 0.7), (0.03, 0.03), (0.65, 0.62, 0.55), -0.5, 1),
    ]
    return _figure("bollard", at, viewer, parts, floor=floor)


def bin_(rng: np.random.Generator, at: Point, viewer: NDArray[np.float64], floor: float) -> Thing:
    """A litter bin."""
    color = ((0.05, 0.14, 0.07), (0.12, 0.12, 0.13), (0.30, 0.16, 0.05))[rng.integers(3)]
    parts = [
        Part((0, 0.1), (0, 0.75), (0.24, 0.28), color, 0.4),
        Part((-0.14, 0.92), (0.14, 0.92), (0.09, 0.09), DARK, 0.2, 1),
    ]
    return _figure("trash bin", at, viewer, parts, floor=floor)


def cone(at: Point, viewer: NDArray[np.float64]) -> Thing:
    """A traffic cone with two white bands."""
    orange = (0.68, 0.16, 0.02)
    parts = [
        Part((-0.17, 0.02), (0.17, 0.02), (0.035, 0.035), orange, 0.4),
        Part((0, 0.06), (0, 0.68), (0.145, 0.022), orange, 0.4, 1),
    ]
    for low, high in ((0.24, 0.33), (0.44, 0.51)):
        parts.append(
            Part(
                (0, low),
                (0, high),
                (0.145 - 0.123 * (low - 0.06) / 0.62 + 0.004, 0.145 - 0.123 * (high - 0.06) / 0.62 + 0.004),
                (0.72, 0.72, 0.7),
                0.4,
                2,
            )
        )
    return _figure("cone", at, viewer, parts, label=7)


def bicycle(
    rng: np.random.Generator, at: Point, viewer: NDArray[np.float64], air: float, ridden: bool, floor: float = 0.0
) -> list[Thing]:
    """A bicycle seen from its side, with its rider if it is ridden."""
    paint = ((0.45, 0.04, 0.04), (0.04, 0.10, 0.35), (0.06, 0.06, 0.065), (0.45, 0.45, 0.45), (0.05, 0.28, 0.16))[
        rng.integers(5)
    ]
    s = float(rng.choice([-1, 1]))
    back, front, crank, seat, head = (
        (-0.52 * s, 0.34),
        (0.52 * s, 0.34),
        (-0.06 * s, 0.30),
        (-0.18 * s, 0.82),
        (0.36 * s, 0.86),
    )
    thin = (0.02, 0.02)
    rubber = 1.5 if ridden else 0.2
    parts = [Part(hub, hub, (0.32, 0.32), (0.02, 0.02, 0.02), rubber, 0, ring=0.02) for hub in (back, front)]
    parts += [Part(hub, hub, (0.03, 0.03), STEEL, rubber, 1) for hub in (back, front)]
    parts += [
        Part(a, b, thin, paint, 0.3, 2)
        for a, b in ((back, crank), (back, seat), (crank, seat), (crank, head), (seat, head), (head, front))
    ]
    parts.append(Part((seat[0] - 0.1, 0.9), (seat[0] + 0.1, 0.92), (0.035, 0.03), DARK, 3.0 if ridden else 0.2, 3))
    parts.append(Part((head[0], 0.98), (head[0] + 0.1 * s, 1.04), thin, DARK, 0.4, 3))
    parts.append(Part(head, (head[0], 1.0), thin, DARK, 0.4, 3))
    bike = _figure("bicycle", at, viewer, parts, label=3, floor=floor)
    if not ridden:
        return [bike]
    toward = float(np.arctan2(viewer[0] - at[0], viewer[2] - at[1]))
    rider = person(rng, at, viewer, air, "sit", toward - s * np.pi / 2, floor)
    lifted = replace(
        rider.facets[0], origin=rider.facets[0].origin + np.array([0.0, -0.58, 0.0]) + 0.03 * _toward(at, viewer)
    )
    return [bike, Thing("person", [lifted], label=2, anchor=rider.anchor + 0.05 * _toward(at, viewer))]


def _toward(at: Point, viewer: NDArray[np.float64]) -> NDArray[np.float64]:
    away = np.array([viewer[0] - at[0], 0.0, viewer[2] - at[1]])
    return away / np.linalg.norm(away)

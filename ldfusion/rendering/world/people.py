"""People: a skeleton in a walking, standing, sitting or riding pose, clothed, seen from its heading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.figures import Part, extent, figure
from ldfusion.rendering.world.surface import Thing, card

RGB = tuple[float, float, float]

Joint = tuple[float, float, float]
"""Lateral, up and forward, in shares of the height."""

SKIN: tuple[RGB, ...] = ((0.52, 0.33, 0.24), (0.44, 0.26, 0.18), (0.24, 0.13, 0.08), (0.58, 0.40, 0.31))
HAIR: tuple[RGB, ...] = ((0.02, 0.015, 0.012), (0.07, 0.04, 0.02), (0.18, 0.11, 0.05), (0.25, 0.24, 0.23))
TOPS: tuple[RGB, ...] = (
    (0.03, 0.03, 0.035),
    (0.05, 0.08, 0.20),
    (0.45, 0.05, 0.05),
    (0.55, 0.53, 0.50),
    (0.10, 0.22, 0.10),
    (0.60, 0.42, 0.08),
    (0.16, 0.15, 0.15),
    (0.12, 0.28, 0.42),
    (0.35, 0.22, 0.14),
    (0.60, 0.60, 0.62),
)
BOTTOMS: tuple[RGB, ...] = (
    (0.02, 0.022, 0.03),
    (0.05, 0.07, 0.14),
    (0.10, 0.09, 0.08),
    (0.25, 0.21, 0.15),
    (0.04, 0.05, 0.09),
)
SHOES: tuple[RGB, ...] = ((0.02, 0.02, 0.02), (0.40, 0.40, 0.40), (0.12, 0.07, 0.04))


def person(
    rng: np.random.Generator,
    at: tuple[float, float],
    viewer: NDArray[np.float64],
    air_celsius: float,
    pose: str = "walk",
    heading: float | None = None,
    floor: float = 0.0,
    firefighter: bool = False,
) -> Thing:
    """A person at the ground point `at` = (x, z) on a floor of the given height [m].

    Args:
        viewer: (3,) point that its card faces.
        air_celsius: temperature of the air; skin is near 33 degrees, clothes lie between.
        pose: "walk", "stand", "sit" or "crouch".
        heading: direction it walks to, radians from +z towards +x; random if None.
        firefighter: wears a helmet, a dark suit with bright bands and a cylinder.
    """
    heading = float(rng.uniform(0, 2 * np.pi)) if heading is None else heading
    toward = np.arctan2(viewer[0] - at[0], viewer[2] - at[1])
    parts = _body(rng, heading - toward, air_celsius, pose, firefighter)
    foot = np.array([at[0], -floor, at[1]])
    shader = figure(parts, folds=0.10, solar=3.0, limb=0.22)
    return Thing("person", [card(foot, viewer, extent(parts), shader)], label=2, anchor=foot)


def _body(rng: np.random.Generator, turn: float, air: float, pose: str, firefighter: bool) -> list[Part]:
    """Capsules of a body in card metres; `turn` = 0 looks at the viewer, pi/2 walks to the viewer's left."""
    size = float(rng.uniform(1.55, 1.88))
    skin, hair, top, bottom, shoes = (kind[rng.integers(len(kind))] for kind in (SKIN, HAIR, TOPS, BOTTOMS, SHOES))
    if firefighter:
        top, bottom, shoes = (0.10, 0.09, 0.05), (0.09, 0.08, 0.05), (0.02, 0.02, 0.02)
    insulation = 0.75 if firefighter else float(rng.uniform(0.45, 0.68))
    bare = 33.0 - air
    clothed = bare * (1 - insulation)
    girth = float(rng.uniform(0.9, 1.15))
    cos, sin = np.cos(turn), np.sin(turn)

    def put(lateral: float, up: float, forward: float) -> tuple[tuple[float, float], float]:
        """Body point in shares of the height -> card (u, v) in metres, and how far it is in front."""
        return ((-lateral * cos - forward * sin) * size, up * size), (forward * cos - lateral * sin) * size

    parts: list[Part] = []

    def limb(p: Joint, q: Joint, radii: tuple[float, float], color: RGB, warmth: float, lift: float = 0.0) -> None:
        (start, front), (end, front_end) = put(*p), put(*q)
        shade = 1.0 if front + front_end > -0.05 else 0.8
        tinted = (color[0] * shade, color[1] * shade, color[2] * shade)
        parts.append(
            Part(start, end, (radii[0] * size, radii[1] * size), tinted, warmth, (front + front_end) / 2 + lift)
        )

    phase = rng.uniform(0, 2 * np.pi)
    stride = 0.42 if pose == "walk" else 0.06
    drop = {"sit": -0.26, "crouch": -0.30}.get(pose, 0.0)
    lean = {"walk": 0.02, "crouch": 0.16}.get(pose, 0.0)
    skirt = not firefighter and pose in ("walk", "stand") and rng.random() < 0.22
    arms_up = pose == "stand" and rng.random() < 0.35
    hip = 0.53 + drop
    for side in (-1.0, 1.0):
        swing = stride * np.sin(phase + (0 if side > 0 else np.pi))
        legs_warm = clothed * 0.85
        if pose in ("sit", "crouch"):
            knee, ankle = (
                (0.055 * side, hip - 0.01 + (0.07 if pose == "crouch" else 0), 0.23),
                (0.055 * side, 0.04, 0.21 if pose == "sit" else 0.10),
            )
        else:
            bent = 0.05 * max(0.0, -np.cos(phase + (0 if side > 0 else np.pi))) if pose == "walk" else 0.0
            knee = (0.05 * side, 0.28 + bent * 0.4, 0.25 * np.sin(swing) + bent)
            ankle = (0.05 * side, 0.045 + bent, 0.25 * np.sin(swing) + 0.24 * np.sin(swing) - bent * 1.6)
        limb((0.05 * side, hip, 0), knee, (0.056 * girth, 0.04), bottom, legs_warm)
        limb(knee, ankle, (0.037, 0.026), skin if skirt else bottom, bare * 0.7 if skirt else legs_warm * 0.9)
        limb(ankle, (0.055 * side, 0.02, ankle[2] + 0.075), (0.026, 0.02), shoes, clothed * 0.6)
        shoulder = (0.105 * girth * side, hip + 0.275, lean)
        reach = -0.75 * swing
        if pose == "sit":
            elbow, hand = (0.12 * side, hip + 0.12, 0.06 + lean), (0.07 * side, hip + 0.06, 0.22)
        elif arms_up and side > 0:
            elbow, hand = (0.14 * side, hip + 0.13, 0.08), (0.05 * side, hip + 0.36, 0.10)
        else:
            elbow = (0.135 * girth * side, hip + 0.11, lean + 0.17 * np.sin(reach))
            hand = (0.13 * girth * side, hip - 0.03, lean + 0.2 * np.sin(reach) + 0.12 * abs(np.sin(reach)) + 0.02)
        limb(shoulder, elbow, (0.034 * girth, 0.028), top, clothed * 0.95, 0.02)
        limb(elbow, hand, (0.027, 0.021), top, clothed * 0.95, 0.02)
        limb(hand, (hand[0], hand[1] - 0.035, hand[2] + 0.01), (0.019, 0.015), skin, bare * 0.8, 0.02)
    chest, waist = 0.075 * girth, 0.066 * girth
    for side in (-1.0, 1.0):
        limb((0.042 * side, hip + 0.24, lean), (0.03 * side, hip + 0.01, 0), (chest, waist + 0.004), top, clothed)
    limb((-0.06 * girth, hip + 0.265, lean), (0.06 * girth, hip + 0.265, lean), (0.045, 0.045), top, clothed)
    if skirt:
        limb((0, hip + 0.02, 0), (0, hip - 0.17, 0), (0.08, 0.115), bottom, clothed * 0.9, 0.16)
    elif not firefighter and rng.random() < 0.35:  # a coat
        limb((0, hip + 0.05, 0), (0, hip - 0.13, 0), (0.088 * girth, 0.10 * girth), top, clothed * 0.9, 0.03)
    neck = (0, hip + 0.31, lean)
    limb(neck, (0, hip + 0.36, lean + 0.005), (0.03, 0.028), skin, bare * 0.92, 0.01)
    limb((0, hip + 0.375, lean + 0.012), (0, hip + 0.42, lean + 0.008), (0.041, 0.046), skin, bare, 0.05)
    for side in (-0.36, 0.36):  # eyes, which only show from the front
        eye = (0.045 * np.sin(side), hip + 0.408, lean + 0.01 + 0.045 * np.cos(side))
        if put(*eye)[1] > put(0, 0, lean + 0.01)[1] + 0.02 * size:
            limb(eye, eye, (0.0045, 0.0045), (0.09, 0.06, 0.05), bare * 1.05, 0.08)
    _hair_and_load(rng, limb, hip, lean, hair, clothed, bare, firefighter)
    return parts


def _hair_and_load(
    rng: np.random.Generator,
    limb: Callable[..., None],
    hip: float,
    lean: float,
    hair: RGB,
    clothed: float,
    bare: float,
    firefighter: bool,
) -> None:
    """Hair and sometimes a backpack or a bag; a firefighter's helmet, bright bands and cylinder."""
    if firefighter:
        limb((0, hip + 0.435, lean), (0, hip + 0.445, lean), (0.062, 0.05), (0.62, 0.48, 0.03), clothed * 0.8, 0.12)
        for up in (0.06, 0.2):
            limb(
                (-0.085, hip + up, 0.05),
                (0.085, hip + up, 0.05),
                (0.013, 0.013),
                (0.75, 0.75, 0.55),
                clothed * 0.8,
                0.12,
            )
        limb((0, hip + 0.08, -0.10), (0, hip + 0.26, -0.10), (0.05, 0.045), (0.45, 0.30, 0.02), clothed * 0.3)
        return
    limb((0, hip + 0.432, lean - 0.016), (0, hip + 0.405, lean - 0.026), (0.047, 0.045), hair, bare * 0.72, 0.07)
    limb((-0.018, hip + 0.45, lean + 0.012), (0.018, hip + 0.45, lean + 0.012), (0.027, 0.027), hair, bare * 0.72, 0.10)
    if rng.random() < 0.35:  # long hair
        limb((0, hip + 0.40, lean - 0.035), (0, hip + 0.31, lean - 0.04), (0.045, 0.035), hair, bare * 0.6)
    if rng.random() < 0.4:  # a backpack
        color = TOPS[rng.integers(len(TOPS))]
        limb((0, hip + 0.10, -0.10), (0, hip + 0.23, -0.09), (0.068, 0.06), color, clothed * 0.35)
    elif rng.random() < 0.3:  # a bag in the hand
        limb(
            (0.15, hip - 0.10, 0.02), (0.15, hip - 0.15, 0.02), (0.035, 0.045), TOPS[rng.integers(len(TOPS))], 0.3, 0.02
        )

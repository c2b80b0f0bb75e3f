"""Lays out a room: floor, ceiling, walls with a door and windows; what stands in it is `furnish`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.room import furniture, interior, ornaments
from ldfusion.rendering.room.furnish import Walls, furnish, occupy
from ldfusion.rendering.room.interior import Opening
from ldfusion.rendering.world.conditions import Conditions, scaled
from ldfusion.rendering.world.place import Lamp, World
from ldfusion.rendering.world.surface import BUILT, DECALS, GROUND, Shader, Thing, level, upright

SCENES = {"living": "living room", "office": "office", "store": "storage room"}


def indoors(conditions: Conditions) -> Conditions:
    """The outdoor conditions as they are felt in a room: little of the sky's light, the walls' temperature instead of
    the sky's.
    """
    share = {"day": 0.42, "dusk": 0.5, "night": 1.0, "smoke": 0.25, "fog": 0.45}[conditions.light]
    glimmer = scaled(conditions.ambient, 0.6 * share)
    return replace(
        conditions,
        ambient=scaled(conditions.ambient, share),
        bounce=scaled(conditions.bounce, 1.6 * share),
        zenith=glimmer,
        horizon=glimmer,
        sky_celsius=conditions.air_celsius,
        sun_heat=min(conditions.sun_heat, 0.5),
        key=0.85 * conditions.key,
    )


def room(rng: np.random.Generator, conditions: Conditions) -> World:
    """A room with all that is in it; no draw depends on the light, so that one seed is one room in every light."""
    width, depth, height = float(rng.uniform(4.4, 6.6)), float(rng.uniform(5.2, 8.5)), float(rng.uniform(2.5, 3.0))
    style = str(rng.choice(list(SCENES)))
    x0, x1, z0, z1 = -width / 2, width / 2, -0.6, depth
    center = np.array([float(rng.uniform(-0.25, 0.25)) * width, -float(rng.uniform(1.3, 1.7)), 0.0])
    yaw = -float(np.degrees(np.arctan2(0.8 * center[0], 0.6 * depth))) + float(rng.normal(0, 4))
    things: list[Thing] = []
    lamps: list[Lamp] = []
    walls = {"back": ((x0, z1), (x1, z1)), "left": ((x0, z0), (x0, z1)), "right": ((x1, z1), (x1, z0))}
    openings, frames = _openings(rng, walls)
    _shell(rng, conditions, (x0, x1, z0, z1, height), walls, openings, things)
    outside = {"day": 1.0, "dusk": 0.25, "night": 0.012, "smoke": 0.5, "fog": 0.55}[conditions.light]
    for corner, along, wide, high in frames:
        inward = np.array([along[2], 0.0, -along[0]])
        middle = corner + along * wide / 2 + np.array([0.0, -high / 2, 0.0]) + 0.05 * inward
        strength = outside * 1.6 * wide * high
        lamps.append(Lamp(middle, (0.92 * strength, strength, 1.1 * strength), inward, 1.0, 0.9))
    lamp_on = bool(rng.random() < 0.6)
    lamp_at = float(rng.uniform(-0.6, 0.6)), depth * float(rng.uniform(0.45, 0.65))
    lamp_on = lamp_on and conditions.lamps
    things.append(ornaments.lamp(lamp_at, center, height, lamp_on))
    if lamp_on:
        power = {"dusk": 0.8, "night": 0.35}.get(conditions.light, 1.2)
        lamps.append(
            Lamp(
                np.array([lamp_at[0], -height + 0.72, lamp_at[1]]),
                (2.1 * power, 1.75 * power, 1.2 * power),
                None,
                1.0,
                0.5,
            )
        )
    decals = furnish(rng, conditions, style, walls, openings, center, things, lamps)
    decals += occupy(rng, conditions, (width, depth), center, things, lamps)
    if conditions.light == "night" and not lamp_on:
        lamps.append(Lamp(center, (0.10, 0.10, 0.11), np.array([0.0, 0.05, 1.0]), 6.0, 1.0))
    things.append(Thing("decals", decals, layer=DECALS, reported=False))
    sun = interior.SunPatches(conditions.sun, frames)
    return World(
        "room",
        SCENES[style],
        things,
        lamps,
        center,
        yaw,
        float(rng.uniform(-9, -3)),
        float(rng.uniform(64, 78)),
        indoors(conditions),
        sun,
    )


Frames = list[tuple[NDArray[np.float64], NDArray[np.float64], float, float]]


def _openings(rng: np.random.Generator, walls: Walls) -> tuple[dict[str, list[Opening]], Frames]:
    """A door in one wall and windows in another or two."""
    names = [str(name) for name in rng.permutation(list(walls))]
    openings: dict[str, list[Opening]] = {name: [] for name in walls}
    lengths = {name: float(np.hypot(b[0] - a[0], b[1] - a[1])) for name, (a, b) in walls.items()}
    where = float(rng.uniform(0.25, 0.7)) * lengths[names[0]]
    openings[names[0]].append(Opening("door", (where, where + 0.9), (0.0, 2.05)))
    frames: Frames = []
    two = rng.random() < 0.4
    for name in names[1 : 3 if two else 2]:
        count = 2 if lengths[name] > 5 else 1
        wide, low, high = float(rng.uniform(1.0, 1.5)), float(rng.uniform(0.8, 1.0)), float(rng.uniform(1.95, 2.2))
        for k in range(count):
            start = lengths[name] * (k + 0.5) / count + 0.3 * (count - 1) - wide / 2
            openings[name].append(Opening("window", (start, start + wide), (low, high)))
            (ax, az), (bx, bz) = walls[name]
            along = np.array([bx - ax, 0.0, bz - az]) / lengths[name]
            frames.append((np.array([ax, -low, az]) + along * start, along, wide, high - low))
    return openings, frames


def _shell(
    rng: np.random.Generator,
    conditions: Conditions,
    extent: tuple[float, float, float, float, float],
    walls: Walls,
    openings: dict[str, list[Opening]],
    things: list[Thing],
) -> None:
    x0, x1, z0, z1, height = extent
    paint = interior.WALL_PAINTS[rng.integers(len(interior.WALL_PAINTS))]
    seed, stripes = int(rng.integers(1 << 16)), bool(rng.random() < 0.25)
    color = interior.WOODS[rng.integers(len(interior.WOODS))]
    floors: list[Shader] = [
        interior.wood(color, "v", seed=seed),
        interior.tiles((0.42, 0.38, 0.33), 0.4, seed),
        interior.carpet((0.20, 0.19, 0.20)),
    ]
    floor = floors[int(rng.choice(3, p=[0.55, 0.25, 0.2]))]
    things.append(Thing("floor", [level((x0, x1), (z0, z1), 0.0, floor)], layer=GROUND, reported=False))
    if rng.random() < 0.5:
        ru, rz = float(rng.uniform(0.8, 1.3)), float(rng.uniform(2.2, 3.4))
        border = (-ru, ru, rz, rz + 1.5)
        hue = furniture.FABRICS[rng.integers(len(furniture.FABRICS))]
        things.append(
            Thing(
                "rug",
                [level((-ru, ru), (rz, rz + 1.5), 0.012, interior.carpet(hue, border))],
                layer=GROUND,
                anchor=np.array([0, 0, -9.0]),
            )
        )
    faces = [level((x0, x1), (z0, z1), height, interior.ceiling((x0, x1), (z0, z1)), down=True)]
    for name, (left, right) in walls.items():
        length = float(np.hypot(right[0] - left[0], right[1] - left[1]))
        faces.append(
            upright(
                left, right, height, interior.wall(paint, (length, height), openings[name], conditions, seed, stripes)
            )
        )
    things.append(Thing("wall", faces, layer=BUILT, reported=False))

"""Puts furniture along the walls of a room and people into it; ``viewer`` is the place (3,) of the camera [m]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.room import furniture, ornaments
from ldfusion.rendering.room.furniture import Place
from ldfusion.rendering.room.interior import Opening
from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.people import person
from ldfusion.rendering.world.place import Lamp
from ldfusion.rendering.world.shadow import contact
from ldfusion.rendering.world.surface import Facet, Thing

Walls = dict[str, tuple[tuple[float, float], tuple[float, float]]]


def furnish(
    rng: np.random.Generator,
    conditions: Conditions,
    style: str,
    walls: Walls,
    openings: dict[str, list[Opening]],
    viewer: NDArray[np.float64],
    things: list[Thing],
    lamps: list[Lamp],
) -> list[Facet]:
    """Pieces along the walls from slot to slot, radiators below the windows, pictures above low pieces; returns the
    contact shadows.
    """
    decals: list[Facet] = []
    heated = bool(rng.random() < 0.8) and conditions.light != "day"
    screen_on = bool(rng.random() < 0.7)
    choices = {
        "living": ["sofa", "shelf", "cabinet", "plant"],
        "office": ["desk", "shelf", "cabinet", "plant", "desk"],
        "store": ["boxes", "shelf", "cabinet", "boxes"],
    }[style]
    for name, (left, right) in walls.items():
        length = float(np.hypot(right[0] - left[0], right[1] - left[1]))
        along = (right[0] - left[0]) / length, (right[1] - left[1]) / length
        inward = along[1], -along[0]
        at = 0.9 if name == "back" else float(rng.uniform(2.2, 3.0))
        end = length - (0.9 if name == "back" else 0.6)
        if name == "right":  # its u runs from the back towards the camera
            at, end = 0.8, length - at
        for opening in openings[name]:
            if opening.kind == "window":
                middle = sum(opening.u) / 2
                spot = left[0] + along[0] * middle + inward[0] * 0.08, left[1] + along[1] * middle + inward[1] * 0.08
                things.append(ornaments.radiator(Place(spot, inward), 0.9, heated))
        while at < end:
            kind = str(rng.choice(choices))
            wide = {"sofa": 2.0, "desk": 1.5, "plant": 0.7, "boxes": 0.7}.get(kind, 1.5)
            middle, deep = (
                at + wide / 2,
                {"sofa": 0.45, "desk": 0.36, "plant": 0.35, "boxes": 0.3, "shelf": 0.18}.get(kind, 0.25),
            )
            chance, picture = rng.random(2)
            spot = left[0] + along[0] * middle + inward[0] * deep, left[1] + along[1] * middle + inward[1] * deep
            near = np.hypot(spot[0] - viewer[0], spot[1] - viewer[2]) < 1.7
            blocked = any(opening.u[0] - 0.2 < at + wide and at < opening.u[1] + 0.2 for opening in openings[name])
            at += wide + float(rng.uniform(0.15, 0.6))
            if near or blocked or chance < 0.15:
                continue
            place = Place(spot, inward)
            if kind == "plant":
                things.append(ornaments.plant(rng, spot, viewer))
            elif kind == "desk":
                things.append(furniture.desk(rng, place, screen_on))
                if screen_on:
                    head = np.array([spot[0] + 0.3 * inward[0], -1.1, spot[1] + 0.3 * inward[1]])
                    power = 0.05 if conditions.light == "night" else 0.15
                    lamps.append(
                        Lamp(head, (0.6 * power, 0.8 * power, power), np.array([inward[0], 0, inward[1]]), 1.0, 0.3)
                    )
            elif kind == "sofa":
                things.append(furniture.sofa(rng, place, bool(rng.random() < 0.5)))
            else:
                maker: furniture.Maker = {
                    "shelf": furniture.shelf,
                    "cabinet": furniture.cabinet,
                    "boxes": furniture.boxes,
                }[kind]
                things.append(maker(rng, place))
            decals.append(contact(spot, (0.65 * wide, 0.7) if name == "back" else (0.7, 0.65 * wide), 0.0, 0.6))
            if kind in ("sofa", "desk", "boxes") and picture < 0.7:
                a, b = (
                    (
                        left[0] + along[0] * (middle + d) + inward[0] * 0.03,
                        left[1] + along[1] * (middle + d) + inward[1] * 0.03,
                    )
                    for d in (-0.4, 0.4)
                )
                things.append(ornaments.picture(rng, a, b))
    return decals


def occupy(
    rng: np.random.Generator,
    conditions: Conditions,
    size: tuple[float, float],
    viewer: NDArray[np.float64],
    things: list[Thing],
    lamps: list[Lamp],
) -> list[Facet]:
    """A table with chairs, one to three people, and in smoke sometimes a fire; returns the contact shadows."""
    width, depth = size
    decals: list[Facet] = []
    taken: list[tuple[float, float, float]] = [(viewer[0], viewer[2], 0.9)]
    if rng.random() < 0.6:
        at = float(rng.uniform(-0.2, 0.2)) * width, depth * float(rng.uniform(0.45, 0.62))
        things.append(furniture.table(rng, Place(at, (0.0, -1.0))))
        decals.append(contact(at, (1.0, 0.7), 0.0, 0.55))
        taken.append((*at, 1.0))
        for side in (-1.0, 1.0):
            if rng.random() < 0.7:
                x = at[0] + side * 1.15
                things.append(furniture.chair(rng, Place((x, at[1]), (-side, 0.0))))
                decals.append(contact((x, at[1]), (0.4, 0.4), 0.0, 0.5))
                taken.append((x, at[1], 0.45))
    fire, fire_x, fire_z = rng.random(3)
    smoke = conditions.light == "smoke"
    for k in range(int(rng.integers(1, 4))):
        z = float(rng.uniform(2.0, 3.4 if k == 0 else depth - 0.9))
        x = float(np.clip(viewer[0] * 0.5 + rng.uniform(-0.42, 0.42) * z, -0.5 * width + 0.6, 0.5 * width - 0.6))
        pose = str(rng.choice(["walk", "stand", "stand", "crouch"]))
        heading, rescuer = float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.5)
        body = person(
            np.random.default_rng(int(rng.integers(1 << 30))),
            (x, z),
            viewer,
            conditions.air_celsius,
            pose,
            heading,
            0.0,
            rescuer and smoke,
        )
        if any(np.hypot(x - a, z - b) < 0.35 + r for a, b, r in taken):
            continue
        taken.append((x, z, 0.3))
        things.append(body)
        decals.append(contact((x, z), (0.42, 0.34), 0.0, 0.65))
    if smoke and fire < 0.6:
        spot = (fire_x - 0.5) * (width - 1.6), depth - 0.8 - fire_z * 0.8
        things.append(ornaments.fire(np.random.default_rng(conditions.seed), spot, viewer))
        lamps.append(Lamp(np.array([spot[0], -0.6, spot[1] - 0.3]), (2.6, 1.1, 0.3), None, 1.0, 0.6))
    return decals

"""Lays out a street: a road with kerbs and sidewalks, houses or greenery on both sides, traffic, people and street
furniture.
"""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.street import plants, roadside, streetlife
from ldfusion.rendering.street.backdrop import far_end, house
from ldfusion.rendering.street.facade import blank_wall
from ldfusion.rendering.street.ground import Road, asphalt, grass, kerb, paving
from ldfusion.rendering.street.layout import KERB, Layout
from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.place import World
from ldfusion.rendering.world.shadow import ShadowMap
from ldfusion.rendering.world.surface import BUILT, DECALS, GROUND, Thing, level, upright

SHADOW_REACH = 30.0
"""Radius of the region in which things throw sun shadows [m]."""


def street(rng: np.random.Generator, conditions: Conditions) -> World:
    """A street with everything on it.

    The draws do not depend on the light, so that one seed is one street in every light.
    """
    style = str(rng.choice(["city", "suburb", "park"], p=[0.45, 0.3, 0.25]))
    parking = float(rng.choice([0.0, 2.2])) if style != "park" else 0.0
    lane = float(rng.uniform(2.9, 3.5))
    crossings = tuple(float(z) for z in rng.uniform(9, 30, 2)[: int(rng.random() < 0.45)])
    wet = float(rng.uniform(0.2, 0.5)) if rng.random() < 0.22 else 0.0
    road = Road(lane + parking, float(rng.uniform(0.085, 0.15)), crossings, wet, parking, int(rng.integers(1 << 20)))
    on_lane = rng.random() < 0.6
    camera_x = lane / 2 if on_lane else float(rng.choice([-1, 1])) * (road.half_width + float(rng.uniform(0.6, 1.4)))
    height = float(rng.uniform(1.35, 2.3)) + (0.0 if on_lane else KERB)
    center = np.array([camera_x, -height, 0.0])
    yaw = float(rng.normal(0, 4)) - (0.0 if on_lane else 7.0 * np.sign(camera_x))
    plan = Layout(rng, conditions, road, style, center, float(rng.uniform(2.2, 3.6)))
    _ground(plan)
    edges = [_side(plan, side) for side in (-1.0, 1.0)]
    plan.things.append(far_end(rng, plan.style, min(edges), max(edges), conditions))
    streetlife.furniture(plan)
    streetlife.traffic(plan)
    streetlife.works(plan)
    streetlife.people(plan)
    plan.things.append(Thing("decals", plan.decals, layer=DECALS, reported=False))
    names = {"city": "city street", "suburb": "suburban street", "park": "tree-lined road"}
    pitch, fov = float(rng.uniform(-3.5, 1.0)), float(rng.uniform(52, 70))
    shadows = None
    if max(conditions.sunlight) > 0.2:
        ahead = np.array([np.sin(np.radians(yaw)), 0.0, np.cos(np.radians(yaw))])
        shadows = ShadowMap(plan.things, conditions.sun, center * [1, 0, 1] + 0.8 * SHADOW_REACH * ahead, SHADOW_REACH)
    return World("street", names[style], plan.things, plan.lamps, center, yaw, pitch, fov, conditions, shadows)


def _ground(plan: Layout) -> None:
    rng, road = plan.rng, plan.road
    w, walk, end = road.half_width, plan.sidewalk, 170.0
    green = grass(road.seed, float(rng.uniform(0, 0.5)))
    tone = float(rng.uniform(0.24, 0.38))
    slabs = paving(float(rng.choice([0.4, 0.6, 1.0])), (tone, tone * 0.97, tone * 0.91), road.seed)
    verge = slabs if plan.style == "city" else green
    far = [level((-400, 400), (-5, 900), -0.05, green, casts=False)]
    plan.things.append(Thing("land", far, layer=GROUND, reported=False, anchor=np.array([0, 0, 500.0])))
    ground = [level((-w, w), (-4, end), 0.0, asphalt(road), casts=False)]
    for side in (-1.0, 1.0):
        xs = sorted((side * w, side * (w + walk)))
        ground.append(level((xs[0], xs[1]), (-4, end), KERB, slabs, casts=False))
        xs = sorted((side * (w + walk), side * (w + walk + 40)))
        ground.append(level((xs[0], xs[1]), (-4, end), KERB, verge, casts=False))
    plan.things.append(Thing("road", ground, layer=GROUND, anchor=np.array([0, 0, 3.0])))
    stones = kerb()
    strips = [
        upright((-w, -4), (-w, end), KERB, stones, casts=False),
        upright((w, end), (w, -4), KERB, stones, casts=False),
    ]
    plan.things.append(Thing("kerb", strips, label=4, layer=GROUND, reported=False, anchor=np.array([0, 0, 2.0])))


def _side(plan: Layout, side: float) -> float:
    """One side of the street, from the camera to the end; returns the z where it ends."""
    rng = plan.rng
    border = plan.road.half_width + plan.sidewalk
    lit = {"night": 0.42, "dusk": 0.5}.get(plan.conditions.light, 0.3 if plan.conditions.lamps else 0.0)
    green_side = plan.style == "park" and side < 0 if rng.random() < 0.5 else plan.style == "park"
    z, end = -8.0, float(rng.uniform(55, 110))
    if plan.style == "city":
        while z < end:
            width = float(rng.uniform(7, 16))
            gap = float(rng.uniform(2.5, 6)) if rng.random() < 0.15 else 0.0
            storeys = int(rng.integers(2, 7))
            plan.things.append(house(rng, side, border, z, width, float(rng.uniform(8, 14)), storeys, lit, floor=KERB))
            z += width + gap
        return end
    setback = border + float(rng.uniform(3.0, 6.0))
    _boundary(plan, side, border + 0.4, end)
    while z < end:
        width = float(rng.uniform(8, 13))
        if green_side or rng.random() < 0.2:
            for _ in range(2):
                x = side * float(rng.uniform(border + 1.5, border + 9))
                where = z + float(rng.uniform(0, width))
                if where > 3 and plan.free(x, where, 1.2):
                    plan.things.append(plants.tree(rng, (x, where), plan.viewer, floor=KERB))
        else:
            storeys = int(rng.integers(1, 3))
            plan.things.append(
                house(
                    rng,
                    side,
                    setback,
                    z,
                    width,
                    float(rng.uniform(7, 9)),
                    storeys,
                    lit,
                    floor=KERB,
                    pitched=True,
                    shop=0.0,
                )
            )
            x = side * (setback - float(rng.uniform(0.8, 1.4)))
            if z > 1 and plan.free(x, z + width / 2, 0.8):
                plan.things.append(plants.bush(rng, (x, z + width / 2), plan.viewer, floor=KERB))
        z += width + float(rng.uniform(3, 7))
    return end


def _boundary(plan: Layout, side: float, x: float, end: float) -> None:
    """What divides the gardens from the sidewalk: hedges, a wall, a fence, or on a park's side sometimes a guard rail
    by the road.
    """
    rng = plan.rng
    kind = str(rng.choice(["hedge", "wall", "fence", "none"], p=[0.35, 0.2, 0.25, 0.2]))
    rail = rng.random() < 0.4
    height = float(rng.uniform(0.8, 1.5))
    tone = float(rng.uniform(0.3, 0.5))
    if plan.style == "park" and rail:
        plan.things.append(roadside.guard_rail(side * (plan.road.half_width + 0.35), (-2, end * 0.8), -side, KERB))
        plan.taken += [(side * (plan.road.half_width + 0.35), float(z), 0.3) for z in np.arange(0, end * 0.8, 0.6)]
        return
    z = -3.0
    while z < end and kind != "none":
        length = float(rng.uniform(7, 16))
        start, stop = ((side * x, z), (side * x, z + length)) if side < 0 else ((side * x, z + length), (side * x, z))
        if kind == "hedge":
            plan.things.append(plants.hedge(rng, start, stop, height, 0.7, KERB))
        elif kind == "wall":
            front = blank_wall(
                "stone" if tone > 0.4 else "brick", (tone, tone * 0.85, tone * 0.7), plan.road.seed, height
            )
            x0, x1 = min(side * x, side * (x + 0.25)), max(side * x, side * (x + 0.25))
            facets = [
                upright(start, stop, height, front, floor=KERB),
                upright((x0, z), (x1, z), height, front, floor=KERB),
                level((x0, x1), (z, z + length), KERB + height, front),
            ]
            plan.things.append(Thing("wall", facets, layer=BUILT, anchor=np.array([side * x, 0, max(z, 1.0)])))
        else:
            plan.things.append(roadside.fence(start, stop, height, KERB))
        z += length + float(rng.uniform(1.5, 4))

"""What stands and moves on a street: furniture, traffic, road works, people."""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.street import fixtures, plants, roadside
from ldfusion.rendering.street.layout import KERB, Layout
from ldfusion.rendering.street.vehicles import vehicle
from ldfusion.rendering.world.people import person
from ldfusion.rendering.world.place import DOWN, Lamp
from ldfusion.rendering.world.shadow import contact

LAMP_COLORS = ((9.0, 7.2, 4.6), (10.0, 6.2, 2.4), (7.4, 7.8, 8.2))


def furniture(plan: Layout) -> None:
    """Lamps, signs, bins and whatever else stands along the road."""
    rng, road, viewer = plan.rng, plan.road, plan.viewer
    color = LAMP_COLORS[rng.integers(len(LAMP_COLORS))]
    strength = float(rng.uniform(0.45, 1.0))
    start, spacing = float(rng.uniform(5, 12)), float(rng.uniform(14, 24))
    lit = plan.conditions.lamps
    for k in range(5):
        side = 1.0 if k % 2 else -1.0
        x, z = side * (road.half_width + 0.45), start + spacing * k * 0.7
        if not plan.free(x, z, 0.3):
            continue
        post, light = fixtures.lamp_post(
            rng, (x, z), viewer, side, lit, (color[0] / 9, color[1] / 9, color[2] / 9), KERB
        )
        plan.stand(post, x, z, 0.35)
        if lit:
            plan.lamps.append(
                Lamp(light, (color[0] * strength, color[1] * strength, color[2] * strength), DOWN, 0.8, 0.5)
            )
    if plan.style == "city":
        spacing = float(rng.uniform(7, 13))
        planted = rng.random(2) < 0.55
        for side, present in zip((-1.0, 1.0), planted, strict=True):
            for z in np.arange(float(rng.uniform(5, 12)), 70, spacing) if present else ():
                x = side * (road.half_width + 0.8)
                if np.hypot(x - viewer[0], z) > 5 and plan.free(x, float(z), 0.5):
                    plan.stand(plants.tree(rng, (x, float(z)), viewer, floor=KERB), x, float(z), 0.7)
    makers = (fixtures.sign, fixtures.traffic_light, fixtures.bin_)
    for _ in range(int(rng.integers(2, 6))):
        side = float(rng.choice([-1, 1]))
        x, z = side * (road.half_width + float(rng.uniform(0.3, 0.7))), float(rng.uniform(5, 28))
        kind = int(rng.integers(3))
        if plan.free(x, z, 0.35):
            plan.stand(makers[kind](rng, (x, z), viewer, KERB), x, z, 0.3)
    if rng.random() < 0.4:
        side, z0 = float(rng.choice([-1, 1])), float(rng.uniform(4, 14))
        for k in range(5):
            x, z = side * (road.half_width + 0.25), z0 + 1.6 * k
            if plan.free(x, z, 0.15):
                plan.stand(fixtures.bollard((x, z), viewer, KERB), x, z, 0.22)
    if rng.random() < 0.4:
        side, z = float(rng.choice([-1, 1])), float(rng.uniform(6, 18))
        x = side * (road.half_width + plan.sidewalk - 0.5)
        if plan.free(x, z, 0.9):
            plan.stand(roadside.bench((x, z), side, KERB), x, z, 0.9)


def traffic(plan: Layout) -> None:
    """Vehicles that drive and park."""
    rng, road = plan.rng, plan.road
    lamps = plan.conditions.lamps or plan.conditions.light in ("night", "fog")
    lane = road.half_width - road.parking
    kinds, odds = ["car", "van", "truck", "bus"], [0.8, 0.11, 0.06, 0.03]
    spots: list[tuple[float, float, float, bool]] = []
    for side in (-1.0, 1.0):
        z = float(rng.uniform(4.5, 11))
        busy = float(rng.uniform(0.3, 0.9))
        while road.parking > 0 and z < 60:
            if rng.random() < busy:
                spots.append((side * (road.half_width - 1.12), z, 0.0 if side > 0 else np.pi, False))
            z += float(rng.uniform(5.6, 7.0))
    for _ in range(int(rng.integers(0, 4))):
        side = float(rng.choice([-1, 1]))
        spots.append((side * lane / 2, float(rng.uniform(9 if side < 0 else 13, 55)), 0.0 if side > 0 else np.pi, True))
    for x, z, heading, running in spots:
        kind = "car" if not running and rng.random() < 0.7 else str(rng.choice(kinds, p=odds))
        turn = float(rng.normal(0, 0.02))
        radius = 2.3 if kind in ("car", "van") else 4.2
        blocked = any(abs(middle - z) < 4.5 for middle in road.crossings)
        if blocked or not plan.free(x, z, radius):
            continue
        made, decals = vehicle(rng, kind, (x, z), heading + turn, running or rng.random() < 0.25, lamps)
        plan.things.append(made)
        plan.decals += decals
        if running and lamps and len(plan.lamps) < 7:
            forward = np.array([np.sin(heading), 0.12, np.cos(heading)])
            plan.lamps.append(Lamp(np.array([x, -0.75, z]) + 2.3 * forward, (7.0, 6.6, 5.8), forward, 14.0, 0.8))
    own = rng.random() < 0.6
    if own and lamps and abs(plan.viewer[0]) < road.half_width:
        plan.lamps.append(
            Lamp(np.array([plan.viewer[0], -0.75, -0.5]), (16.0, 15.2, 13.6), np.array([0.0, 0.10, 1.0]), 22.0, 2.0)
        )


def works(plan: Layout) -> None:
    """Road works with cones, wheel stops of parking bays, a speed bump."""
    rng, road = plan.rng, plan.road
    if rng.random() < 0.4:
        side = float(rng.choice([-1, 1]))
        x0, z0, drift = (
            side * (road.half_width - road.parking) * 0.95,
            float(rng.uniform(5, 12)),
            float(rng.uniform(-0.25, 0.05)),
        )
        for k in range(int(rng.integers(3, 7))):
            x, z = x0 + side * drift * k, z0 + 1.5 * k
            if plan.free(x, z, 0.25):
                plan.stand(fixtures.cone((x, z), plan.viewer), x, z, 0.3)
    if rng.random() < 0.3:
        side = float(rng.choice([-1, 1]))
        for k in range(4):
            x, z = side * (road.half_width - 1.1), float(7.5 + 5.5 * k + rng.uniform(-0.3, 0.3))
            if plan.free(x, z, 0.9):
                plan.things.append(roadside.car_stop(x, z))
                plan.decals.append(contact((x, z + 0.08), (1.0, 0.3), 0.0, 0.5))
    if rng.random() < 0.22:
        plan.things.append(roadside.speed_bump(road.half_width - road.parking, float(rng.uniform(7, 20))))


def people(plan: Layout) -> None:
    """People on the sidewalks and on the road."""
    rng, road, viewer = plan.rng, plan.road, plan.viewer
    air = plan.conditions.air_celsius
    for k in range(int(rng.integers(3, 9))):
        zone = rng.random()
        z = float(np.exp(rng.uniform(np.log(4.5), np.log(14 if k == 0 else 45))))
        side = float(rng.choice([-1, 1]))
        x = side * (road.half_width + float(rng.uniform(0.5, plan.sidewalk - 0.3)))
        heading: float | None = float(rng.choice([0, np.pi]) + rng.normal(0, 0.25))
        if zone < 0.2 and road.crossings:
            x, z = float(rng.uniform(-1, 1)) * road.half_width * 0.9, road.crossings[0] + float(rng.uniform(-1.2, 1.2))
            heading = float(rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.2))
        elif zone < 0.42:
            x, heading = float(rng.uniform(-1, 1)) * road.half_width * 0.95, None
        # Keep most of them in front of the camera, not beside its view.
        x = float(np.clip(x, viewer[0] - 0.48 * z - 0.5, viewer[0] + 0.48 * z + 0.5))
        pose = "stand" if rng.random() < 0.25 else "walk"
        company = rng.random() < 0.25
        for step in range(2 if company else 1):
            px = x + 0.62 * step
            if plan.free(px, z, 0.28):
                plan.stand(person(rng, (px, z), viewer, air, pose, heading, plan.floor(px)), px, z, 0.42)
    for _ in range(int(rng.integers(0, 3))):
        ridden = bool(rng.random() < 0.5)
        side = float(rng.choice([-1, 1]))
        z = float(rng.uniform(6, 22))
        x = side * (road.half_width + 0.9) if not ridden else side * (road.half_width - road.parking) * 0.6
        x = float(np.clip(x, viewer[0] - 0.45 * z, viewer[0] + 0.45 * z))
        if plan.free(x, z, 0.7):
            bike = fixtures.bicycle(rng, (x, z), viewer, air, ridden, plan.floor(x))
            plan.things += bike[1:]
            plan.stand(bike[0], x, z, 0.6)

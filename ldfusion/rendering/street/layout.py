"""The plan of a street while it is being laid out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.street.ground import Road
from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.place import Lamp
from ldfusion.rendering.world.shadow import contact
from ldfusion.rendering.world.surface import Facet, Thing

KERB = 0.12
"""Height of the sidewalks above the road [m]."""


@dataclass(eq=False)
class Layout:
    """What the parts of the street need to know of each other."""

    rng: np.random.Generator
    conditions: Conditions
    road: Road
    style: str
    viewer: NDArray[np.float64]
    sidewalk: float
    things: list[Thing] = field(default_factory=list)
    decals: list[Facet] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def free(self, x: float, z: float, radius: float) -> bool:
        """Claims a place on the ground; False if something stands there already or the camera does."""
        nearest = np.hypot(x - self.viewer[0], z - self.viewer[2])
        if nearest < radius + 1.6 or any(np.hypot(x - a, z - b) < radius + r for a, b, r in self.taken):
            return False
        self.taken.append((x, z, radius))
        return True

    def stand(self, thing: Thing, x: float, z: float, radius: float) -> None:
        """Adds a thing with the dark of its contact with the ground."""
        self.things.append(thing)
        floor = KERB if abs(x) > self.road.half_width else 0.0
        self.decals.append(contact((x, z), (radius, radius * 0.8), floor))

    def floor(self, x: float) -> float:
        """Height of the ground at x."""
        return KERB if abs(x) > self.road.half_width else 0.0

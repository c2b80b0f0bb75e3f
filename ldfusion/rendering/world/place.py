"""A laid-out place, ready to be seen by cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.conditions import RGB, Conditions
from ldfusion.rendering.world.noise import Map
from ldfusion.rendering.world.surface import UP, Thing

DOWN = -UP


class Sunlight(Protocol):
    """Whatever knows where the sun shines."""

    def lit(self, points: tuple[Map, Map, Map]) -> Map:
        """Share of the sun in [0, 1] that reaches world points, given as three (H, W) maps x, y, z [m]."""
        ...


@dataclass(frozen=True, eq=False)
class Lamp:
    """A point light.

    Attributes:
        position: (3,) in the world [m].
        color: radiance of a white surface one metre away that faces it.
        direction: (3,) axis of its beam, None for all directions.
        focus: exponent of the cosine to the axis; large for a narrow beam.
        size: radius of the source [m]; keeps the light finite near it.
    """

    position: NDArray[np.float64]
    color: RGB
    direction: NDArray[np.float64] | None = None
    focus: float = 1.0
    size: float = 0.3


@dataclass(eq=False)
class World:
    """Everything there is to see, its light, and where the visible camera stands.

    Attributes:
        place: "street" or "room".
        scene: what the place is, in words.
        things, lamps: what stands in it.
        center: (3,) position of the visible camera [m].
        yaw, pitch, fov_degrees: its direction and its horizontal field of view [degrees].
        conditions: light and air as they are in this place.
        sunlight: where the sun shines; None where nothing hides it or it does not shine.
    """

    place: str
    scene: str
    things: list[Thing]
    lamps: list[Lamp]
    center: NDArray[np.float64]
    yaw: float
    pitch: float
    fov_degrees: float
    conditions: Conditions
    sunlight: Sunlight | None

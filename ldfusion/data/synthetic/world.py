"""A laid-out place, ready to be seen by cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ldfusion.data.synthetic.conditions import Conditions
from ldfusion.data.synthetic.lighting import Lamp, Sunlight
from ldfusion.data.synthetic.surface import Thing


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

"""Detector counts to degrees: Planck's law with a camera's constants, corrected for emission and the air between.

The law as FLIR writes it, counts = R1 / (R2 (exp(B / T) - F)) - O with T in kelvin, and its usual measurement equation:
a fraction of what arrives is the object's own radiation, the rest is reflected, or comes from air and window. The
transmission of the air follows Passman and Larmore's fit with the constants the camera carries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KELVIN = 273.15
"""0 degrees C."""


@dataclass(frozen=True)
class Calibration:
    """Constants of one camera and settings of one picture.

    Attributes:
        r1, b, f, o, r2: of Planck's law, see above.
        emissivity: of the object, 0 to 1.
        distance: of the object [m].
        reflected, air, window: temperatures of the surroundings, the air, and a window before the lens [K].
        window_transmission: 0 to 1.
        humidity: relative, 0 to 1.
        alpha, beta, x: of the transmission of the air.
    """

    r1: float
    b: float
    f: float
    o: float
    r2: float
    emissivity: float
    distance: float
    reflected: float
    air: float
    window: float
    window_transmission: float
    humidity: float
    alpha: tuple[float, float]
    beta: tuple[float, float]
    x: float

    def usable(self) -> bool:
        """Whether the constants are such that a temperature follows from them."""
        physical = self.r1 > 0 and self.r2 > 0 and self.b > 0 and min(self.reflected, self.air, self.window) > 0
        shares = 0 < self.emissivity <= 1 and 0 < self.window_transmission <= 1
        return physical and shares and all(math.isfinite(v) for v in (self.r1, self.b, self.f, self.o, self.distance))

    def transmission(self) -> float:
        """Of the air between object and camera, 0 to 1."""
        air = self.air - KELVIN
        water = self.humidity * math.exp(1.5587 + 0.06939 * air - 0.00027816 * air**2 + 0.00000068455 * air**3)
        way, vapour = math.sqrt(max(self.distance, 0)), math.sqrt(max(water, 0))
        near, far = (math.exp(-way * (a + b * vapour)) for a, b in zip(self.alpha, self.beta, strict=True))
        return self.x * near + (1 - self.x) * far

    def radiation(self, kelvin: float) -> float:
        """Counts that a black body of this temperature gives."""
        return self.r1 / (self.r2 * (math.exp(self.b / kelvin) - self.f)) - self.o

    def celsius(self, counts: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Temperature of the object in each pixel, in the shape of the counts; NaN for too few."""
        window, air = self.window_transmission, self.transmission()
        own = self.emissivity * air * window
        others = (1 - self.emissivity) * air * window * self.radiation(self.reflected)
        others += (1 - air) * window * self.radiation(self.air) + (1 - window) * self.radiation(self.window)
        with np.errstate(invalid="ignore", divide="ignore"):
            radiation = (counts.astype(np.float64) - others) / own + self.o
            kelvin = self.b / np.log(self.r1 / (self.r2 * radiation) + self.f)
        kelvin[~(radiation > 0)] = np.nan
        return (kelvin - KELVIN).astype(np.float32)

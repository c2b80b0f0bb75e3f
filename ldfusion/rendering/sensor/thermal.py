"""Long-wave infrared: surface temperatures, reflected sky, the air between, and the sky.

A body radiates emissivity * sigma * T^4 (Stefan-Boltzmann) and reflects its surroundings with 1 - emissivity.
Temperatures are the air's plus what the material keeps (warm bodies, engines, lit windows) plus what the sun put in
where it shines.
"""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.sensor import raster
from ldfusion.rendering.sensor.lighting import View, transmission
from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.noise import Map, smooth

KELVIN = 273.15


def radiance(celsius: Map | float) -> Map:
    """Black-body radiance over all wavelengths, in units of that at 20 degrees."""
    return np.asarray(
        ((np.asarray(celsius, np.float32) + np.float32(KELVIN)) / np.float32(KELVIN + 20)) ** 4, np.float32
    )


def thermal_radiance(view: View, conditions: Conditions) -> Map:
    """(1, H, W) radiance at the infrared camera, in units of a black body at 20 degrees."""
    planes = view.buffer.planes
    cover = np.maximum(view.coverage, 1e-3)
    gained = 0.25 + 0.75 * view.sun  # what stood in the sun before stays warmer, too
    celsius = (
        conditions.air_celsius + (planes[raster.WARMTH] + planes[raster.SOLAR] * conditions.sun_heat * gained) / cover
    )
    mirror = 0.5 * planes[raster.MIRROR] / cover + 0.05
    above = np.clip(view.bounced, 0, 1)
    reflected = conditions.air_celsius + (conditions.sky_celsius - conditions.air_celsius) * above**0.7
    surface = (1 - mirror) * radiance(celsius) + mirror * radiance(reflected)
    through = transmission(view, conditions, conditions.extinction * conditions.infrared_share)
    surface = radiance(conditions.air_celsius) * (1 - through) + surface * through
    picture = surface * view.coverage + radiance(_sky_celsius(view, conditions)) * (1 - view.coverage)
    return picture[None]


def _sky_celsius(view: View, conditions: Conditions) -> Map:
    """The clear sky is cold overhead and near the air's temperature at the horizon; clouds are warmer than the clear
    sky.
    """
    up = np.clip(-view.ray[1], 0, 1)
    drop = conditions.air_celsius - conditions.sky_celsius
    clear = conditions.air_celsius - 0.12 * drop - 0.88 * drop * up**0.55
    over = 1 / np.maximum(up + 0.06, 0.03)
    shift = np.float32(conditions.seed % 211)
    field = smooth(view.ray[0] * over + shift, view.ray[2] * over, 0.018)
    cover = np.clip(0.5 * (field + 2.2 * conditions.clouds - 1.5), 0, 1) * np.clip(up * 9, 0, 1)
    return clear + cover * (0.55 * (conditions.air_celsius - clear))

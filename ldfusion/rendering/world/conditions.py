"""Light, weather and temperatures of a scene: day, dusk, night, smoke and fog, outdoors and in a room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError

LIGHTS = ("day", "dusk", "night", "smoke", "fog")
"""Those that are drawn from."""
UNLIT = "unlit"
"""A night on a street without lamps or lit windows, a country road or a power cut; only where it is asked for."""

RGB = tuple[float, float, float]


def check_light(light: str) -> None:
    """Raise InputError for a light that does not exist."""
    if light not in (*LIGHTS, UNLIT):
        raise InputError(f"unknown light '{light}': one of {', '.join((*LIGHTS, UNLIT))}")


def scaled(color: RGB, factor: float) -> RGB:
    """A colour made brighter or darker."""
    return color[0] * factor, color[1] * factor, color[2] * factor


@dataclass(frozen=True, eq=False)
class Conditions:
    """What the light and the air of a scene are like. Radiances are in units of a white wall under the midday sun.

    Attributes:
        light: one of `LIGHTS`.
        indoors: the place is a room.
        sun: (3,) unit vector of the world towards the sun.
        sunlight: radiance of a white surface that faces the sun; 0 when it is hidden or down.
        zenith, horizon: radiance of the sky overhead and at the horizon.
        ambient: light from all of the sky on a level white surface.
        bounce: light from below.
        clouds: cover in [0, 1].
        lamps: lamps and lit windows are on.
        glow: radiance of lit windows and lamps, as a share of what their surfaces state.
        air_celsius, sky_celsius: temperature of the air, and of the clear zenith as the infrared camera sees it.
        sun_heat: share in [0, 1] of the heating that surfaces in the sun have taken up.
        extinction: Beer-Lambert coefficient of the air for visible light [1/m].
        infrared_share: the infrared's extinction as a share of it.
        patchy: 0 for an even medium, 1 for drifting clouds of smoke.
        veil: radiance of an infinitely thick layer of that air.
        key: brightness the exposure aims at.
        noise: deviation of the visible sensor's noise at mid gray.
        seed: of clouds and drifts.
    """

    light: str
    indoors: bool
    sun: NDArray[np.float64]
    sunlight: RGB
    zenith: RGB
    horizon: RGB
    ambient: RGB
    bounce: RGB
    clouds: float
    lamps: bool
    glow: float
    air_celsius: float
    sky_celsius: float
    sun_heat: float
    extinction: float
    infrared_share: float
    patchy: float
    veil: RGB
    key: float
    noise: float
    seed: int


def sample_conditions(rng: np.random.Generator, light: str, place: str) -> Conditions:
    """Conditions of one of `LIGHTS` or `UNLIT` on a street or in a room; every draw is made for every light, so that
    one seed stays one place.
    """
    if light == UNLIT:
        return replace(sample_conditions(rng, "night", place), lamps=False, glow=0.01)
    draw = rng.random(12)
    seed = int(rng.integers(1 << 16))
    azimuth = 2 * np.pi * draw[0]
    elevation = np.radians(24 + 34 * draw[1])
    sun = np.array([np.cos(elevation) * np.sin(azimuth), -np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    indoors = place == "room"
    overcast = light == "day" and draw[2] < 0.25 and not indoors
    air = {
        "day": 12 + 16 * draw[3],
        "dusk": 8 + 12 * draw[3],
        "night": 2 + 14 * draw[3],
        "smoke": 10 + 14 * draw[3],
        "fog": 3 + 8 * draw[3],
    }[light]
    common: dict[str, Any] = {
        "light": light,
        "indoors": indoors,
        "sun": sun,
        "seed": seed,
        "air_celsius": float(20 + 4 * draw[3] if indoors else air),
    }
    if light == "day":
        strength = 0.10 if overcast else 1.0
        zenith = (0.45, 0.48, 0.52) if overcast else (0.14, 0.28, 0.62)
        horizon = (0.62, 0.64, 0.66) if overcast else (0.55, 0.66, 0.80)
        fill = 0.52 if overcast else 0.30
        return Conditions(
            **common,
            sunlight=(0.98 * strength, 0.90 * strength, 0.76 * strength),
            zenith=zenith,
            horizon=horizon,
            ambient=(0.92 * fill, 1.0 * fill, 1.14 * fill),
            bounce=(0.13, 0.12, 0.105),
            clouds=1.0 if overcast else float(0.65 * draw[4]),
            lamps=False,
            glow=1.0,
            sky_celsius=float(-38 + (38 if overcast else 12) * draw[5]),
            sun_heat=0.12 if overcast else float(0.25 + 0.75 * draw[6]),
            extinction=0.0012,
            infrared_share=0.6,
            patchy=0.0,
            veil=horizon,
            key=0.34,
            noise=0.008,
        )
    if light == "dusk":
        west = (0.62, 0.30, 0.16) if draw[2] < 0.6 else (0.46, 0.34, 0.34)
        return Conditions(
            **common,
            sunlight=(0.0, 0.0, 0.0),
            zenith=(0.045, 0.075, 0.17),
            horizon=west,
            ambient=(0.10, 0.105, 0.15),
            bounce=(0.05, 0.04, 0.035),
            clouds=float(0.8 * draw[4]),
            lamps=True,
            glow=0.45,
            sky_celsius=float(-32 + 12 * draw[5]),
            sun_heat=0.22,
            extinction=0.0018,
            infrared_share=0.6,
            patchy=0.0,
            veil=(0.26, 0.20, 0.19),
            key=0.15,
            noise=0.016,
        )
    if light == "night":
        glow = 0.0022 * (0.5 + draw[4])
        return Conditions(
            **common,
            sunlight=(0.0, 0.0, 0.0),
            zenith=(0.6 * glow, 0.7 * glow, glow),
            horizon=(3.0 * glow, 2.4 * glow, 2.0 * glow),
            ambient=(3.2 * glow, 3.4 * glow, 4.2 * glow),
            bounce=(glow, glow, glow),
            clouds=float(draw[2]),
            lamps=True,
            glow=0.16,
            sky_celsius=float(-34 + 14 * draw[5]),
            sun_heat=0.06,
            extinction=0.0012,
            infrared_share=0.6,
            patchy=0.0,
            veil=(2 * glow, 2 * glow, 2 * glow),
            key=float(0.055 + 0.06 * draw[6]),
            noise=float(0.014 + 0.012 * draw[7]),
        )
    if light == "smoke":
        gray = (0.46, 0.44, 0.42) if draw[2] < 0.7 else (0.36, 0.31, 0.27)
        dim = 0.6 if indoors else 1.0
        return Conditions(
            **common,
            sunlight=(0.30, 0.26, 0.20),
            zenith=(0.30, 0.34, 0.42),
            horizon=(0.48, 0.47, 0.46),
            ambient=(0.32, 0.32, 0.33),
            bounce=(0.10, 0.10, 0.09),
            clouds=float(0.5 + 0.4 * draw[4]),
            lamps=indoors,
            glow=0.8,
            sky_celsius=float(-25 + 12 * draw[5]),
            sun_heat=0.3,
            extinction=float((0.20 + 0.30 * draw[6]) if indoors else (0.03 + 0.055 * draw[6])),
            infrared_share=0.07,
            patchy=1.0,
            veil=(gray[0] * dim, gray[1] * dim, gray[2] * dim),
            key=0.30,
            noise=0.012,
        )
    white = float(0.50 + 0.12 * draw[2])
    return Conditions(
        **common,
        sunlight=(0.0, 0.0, 0.0),
        zenith=(white, white, 1.01 * white),
        horizon=(white, white, 1.01 * white),
        ambient=(0.44, 0.45, 0.47),
        bounce=(0.12, 0.12, 0.12),
        clouds=1.0,
        lamps=bool(draw[4] < 0.4) or indoors,
        glow=0.9,
        sky_celsius=common["air_celsius"] - 1.0,
        sun_heat=0.04,
        extinction=float((0.16 + 0.16 * draw[6]) if indoors else (0.035 + 0.065 * draw[6])),
        infrared_share=0.30,
        patchy=0.12,
        veil=(white, white, 1.01 * white),
        key=0.38,
        noise=0.010,
    )

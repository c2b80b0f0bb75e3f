"""Visible light: sun with shadows, sky, lamps and reflections on a geometry buffer; the sky behind it; the air in front
of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ldfusion.rendering.sensor import raster
from ldfusion.rendering.sensor.raster import GeometryBuffer
from ldfusion.rendering.world.conditions import RGB, Conditions
from ldfusion.rendering.world.noise import Map, smooth
from ldfusion.rendering.world.place import Lamp, Sunlight


@dataclass(eq=False)
class View:
    """Per-pixel geometry of one camera that both modalities use."""

    buffer: GeometryBuffer
    points: tuple[Map, Map, Map]
    """World x, y, z of what is seen [m]; for the sky, a point far away."""
    normal: Map
    """(3, H, W) unit normals of the world."""
    ray: tuple[Map, Map, Map]
    """World x, y, z of the unit ray through each pixel."""
    path: Map
    """Length of the ray to what is seen [m]."""
    coverage: Map
    sun: Map
    """Lambert term of the sun, shadow included, in [0, 1]."""
    bounced: Map
    """Upward part of the ray reflected by what is seen."""


def make_view(buffer: GeometryBuffer, conditions: Conditions, shadows: Sunlight | None) -> View:
    """Geometry per pixel, and where the sun reaches."""
    camera = buffer.camera
    columns, rows = camera.directions
    rotation, center = camera.R.astype(np.float32), camera.center.astype(np.float32)
    coverage = buffer.planes[raster.COVERAGE]
    inverse = buffer.planes[raster.INVERSE] / np.maximum(coverage, 1e-3)
    z = 1 / np.maximum(inverse, np.float32(1 / 2000))
    length = np.sqrt(columns[None, :] ** 2 + rows[:, None] ** 2 + 1)
    directions = [
        columns[None, :] * rotation[0, k] + (rows * rotation[1, k] + rotation[2, k])[:, None] for k in range(3)
    ]
    points = z * directions[0] + center[0], z * directions[1] + center[1], z * directions[2] + center[2]
    ray = directions[0] / length, directions[1] / length, directions[2] / length
    seen = buffer.planes[raster.NORMAL]
    normal = np.tensordot(rotation.T, seen, 1)
    normal /= np.sqrt((normal**2).sum(0)) + np.float32(1e-4)
    sun = np.zeros_like(z)
    if max(conditions.sunlight) > 0 or conditions.sun_heat > 0.1:
        toward = conditions.sun.astype(np.float32)
        sun = np.clip(np.tensordot(toward, normal, 1), 0, 1)
        if shadows is not None:
            sun *= shadows.lit(points)
    cosine = ray[0] * normal[0] + ray[1] * normal[1] + ray[2] * normal[2]
    bounced = -(ray[1] - 2 * cosine * normal[1])
    return View(buffer, points, normal, ray, z * length, coverage, sun, bounced)


def sky(ray: tuple[Map, Map, Map], conditions: Conditions) -> Map:
    """(3, H, W) radiance of the sky along unit rays: a gradient, the sun's glow and clouds on a plane high above."""
    up = np.clip(-ray[1], 0, 1)
    share = (1 - up) ** 4
    gradient = _ramp(conditions.zenith, conditions.horizon, share)
    toward = np.clip(sum(np.float32(conditions.sun[k]) * ray[k] for k in range(3)), 0, 1)
    strength = max(conditions.sunlight)
    if strength > 0:
        gradient += np.float32(strength) * (0.35 * toward**24 + 6.0 * toward**900)
    elif conditions.light == "dusk":
        level = np.clip(sum(np.float32(conditions.sun[k]) * ray[k] for k in (0, 2)), 0, 1)
        gradient *= 0.55 + 0.75 * level * share + 0.25 * level
    if conditions.clouds > 0 and conditions.light != "fog":
        over = 1 / np.maximum(up + 0.06, 0.03)
        shift = np.float32(conditions.seed % 211)
        field = smooth(ray[0] * over + shift, ray[2] * over, 0.018)
        cover = np.clip(0.55 * (field + 2.2 * conditions.clouds - 1.5), 0, 1) * np.clip(up * 9, 0, 1)
        bright = np.clip(0.75 + 0.25 * smooth(ray[0] * over + shift + 0.07, ray[2] * over + 0.05, 0.018), 0.3, 1.3)
        white = np.array(conditions.horizon, np.float32) * 1.15 + 0.22 * np.array(conditions.sunlight, np.float32)
        gradient += 0.85 * cover * (white[:, None, None] * bright - gradient)
    return gradient


def _ramp(zero: RGB, one: RGB, share: Map) -> Map:
    a, b = np.array(zero, np.float32)[:, None, None], np.array(one, np.float32)[:, None, None]
    return a + (b - a) * share


def shade(view: View, conditions: Conditions, lamps: list[Lamp]) -> Map:
    """(3, H, W) radiance of the visible picture."""
    planes = view.buffer.planes
    upward = -view.normal[1]
    light = _ramp(conditions.bounce, conditions.ambient, 0.5 + 0.5 * upward)
    light += np.array(conditions.sunlight, np.float32)[:, None, None] * view.sun
    for lamp in lamps:
        _add_lamp(light, lamp, view)
    picture = planes[raster.ALBEDO] * light
    picture += np.float32(conditions.glow) * planes[raster.EMISSION]
    mirror = planes[raster.MIRROR]
    if mirror.any():
        above = np.clip(view.bounced, 0, 1)
        reflected = _ramp(conditions.horizon, conditions.zenith, np.sqrt(above)) * np.clip(
            0.25 + 2.2 * view.bounced, 0.12, 1
        )
        picture += mirror * (reflected - 0.6 * picture)
    through = transmission(view, conditions, conditions.extinction)
    veil = np.array(conditions.veil, np.float32)[:, None, None]
    picture = veil * view.coverage + (picture - veil * view.coverage) * through
    behind = sky(view.ray, conditions)
    if conditions.patchy > 0.5:
        behind = veil + (behind - veil) * through
    return picture + (1 - view.coverage) * behind


def _add_lamp(light: Map, lamp: Lamp, view: View) -> None:
    away = [np.float32(lamp.position[k]) - view.points[k] for k in range(3)]
    square = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
    near = 1 / np.sqrt(square)
    facing = sum(away[k] * view.normal[k] for k in range(3)) * near
    strength = np.clip(0.12 + 0.88 * facing, 0, 1) / (square + np.float32(lamp.size**2))
    if lamp.direction is not None:
        axis = lamp.direction / np.linalg.norm(lamp.direction)
        beam = np.clip(-sum(away[k] * np.float32(axis[k]) for k in range(3)) * near, 0, 1)
        strength *= beam**lamp.focus if lamp.focus != 1 else beam
    for channel in range(3):
        light[channel] += strength * np.float32(lamp.color[channel])


def transmission(view: View, conditions: Conditions, extinction: float) -> Map:
    """Beer-Lambert share exp(-extinction * path) of the light that passes the air; smoke drifts in clouds, so its path
    is weighted along the ray.
    """
    path = view.path
    if conditions.patchy <= 0:
        return np.exp(np.float32(-extinction) * path)
    weighted, start = np.zeros_like(path), 0.0
    shift = np.float32(conditions.seed % 173)
    for end in (1.5, 3.5, 7.0, 13.0, 24.0, 48.0):
        middle = np.float32((start + end) / 2)
        drift = smooth(
            view.ray[0] * middle + shift + end, (view.ray[1] - 0.3 * view.ray[2]) * middle, 0.02 + 0.0016 * end
        )
        density = np.clip(1 + conditions.patchy * (1.5 * drift - 0.15), 0.03, 4.0)
        weighted += density * np.clip(path - start, 0, end - start)
        start = end
    weighted += np.clip(path - start, 0, None)
    return np.exp(np.float32(-extinction) * weighted)

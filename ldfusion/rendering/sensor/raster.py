"""Draws facets into a geometry buffer: far to near, with a depth test and with antialiased edges.

On a plane, 1 / z, u / z and v / z are linear in the pixel coordinates, so that the exact metric position of every pixel
on a facet costs three linear forms and one division (Heckbert, Fundamentals of Texture Mapping, 1989). An outline's
edge is a linear form too; its distance from the pixel centre gives the coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.sensor.camera import Camera
from ldfusion.rendering.world.noise import Map
from ldfusion.rendering.world.surface import Facet, Surface, Texels, Thing

NEAR = 0.15
"""Distance of the near plane [m]."""

ALBEDO, NORMAL, EMISSION = slice(0, 3), slice(3, 6), slice(6, 9)
WARMTH, SOLAR, MIRROR, INVERSE, COVERAGE = 9, 10, 11, 12, 13
CHANNELS = 14


@dataclass(eq=False)
class GeometryBuffer:
    """What one camera sees, before light.

    Attributes:
        planes: (14, H, W) blended by coverage: albedo, normal (camera frame), emission, warmth, solar, mirror, inverse
            depth, coverage.
        depth: (H, W) metres along Z of the surface that covers at least half of the pixel; inf for the sky.
        label: (H, W) uint8 class.
        instance: (H, W) int16 index of the thing, -1 for the sky.
    """

    camera: Camera
    planes: Map
    depth: Map
    label: NDArray[np.uint8]
    instance: NDArray[np.int16]


class Placed(NamedTuple):
    """A facet in the camera frame with the window of pixels it touches."""

    facet: Facet
    origin: NDArray[np.float64]
    axes: NDArray[np.float64]  # (3, 3) rows u, v, normal
    window: tuple[int, int, int, int]  # top, bottom, left, right


def draw(things: list[Thing], camera: Camera) -> GeometryBuffer:
    """The geometry buffer of all things as seen by one camera."""
    shape = camera.height, camera.width
    buffer = GeometryBuffer(
        camera,
        np.zeros((CHANNELS, *shape), np.float32),
        np.full(shape, np.inf, np.float32),
        np.zeros(shape, np.uint8),
        np.full(shape, -1, np.int16),
    )
    center = camera.center
    distance = [float(np.linalg.norm(thing.anchor - center)) for thing in things]
    for index in sorted(range(len(things)), key=lambda i: (things[i].layer, -distance[i])):
        placed = [found for facet in things[index].facets if (found := _place(facet, camera)) is not None]
        if len(placed) > 1 and things[index].layer > 0:
            placed.sort(key=lambda item: (not item.facet.decal, -_middle_depth(item)))
        for item in placed:
            _draw_facet(buffer, item, index, things[index].label)
    return buffer


def _middle_depth(item: Placed) -> float:
    middle = item.facet.outline.mean(0)
    return float(np.linalg.norm(item.origin + middle @ item.axes[:2]))


def _place(facet: Facet, camera: Camera) -> Placed | None:
    """The facet in the camera frame, or None if it faces away or lies outside of the view."""
    origin = camera.R @ facet.origin + camera.t
    axes = np.empty((3, 3))
    axes[0], axes[1] = camera.R @ facet.u_axis, camera.R @ facet.v_axis
    axes[2] = camera.R @ facet.normal
    facing = float(axes[2] @ origin)
    if abs(facing) < 1e-4 or (facing > 0 and not facet.two_sided):
        return None
    corners = origin + facet.outline @ axes[:2]
    z = corners[:, 2]
    if z.max() <= NEAR:
        return None
    if z.min() < NEAR:
        corners = _clip_near(corners)
    x = corners[:, 0] / corners[:, 2] * camera.K[0, 0] + camera.K[0, 2]
    y = corners[:, 1] / corners[:, 2] * camera.K[1, 1] + camera.K[1, 2]
    top, bottom = max(0, int(np.floor(y.min()))), min(camera.height, int(np.ceil(y.max())) + 1)
    left, right = max(0, int(np.floor(x.min()))), min(camera.width, int(np.ceil(x.max())) + 1)
    if top >= bottom or left >= right:
        return None
    return Placed(facet, origin, axes, (top, bottom, left, right))


def _clip_near(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the part of a polygon in front of the near plane."""
    following = np.concatenate([corners[1:], corners[:1]])
    inside = corners[:, 2] >= NEAR
    crossing = inside != (following[:, 2] >= NEAR)
    start, end = corners[crossing], following[crossing]
    share = (NEAR - start[:, 2]) / (end[:, 2] - start[:, 2])
    return np.concatenate([corners[inside], start + share[:, None] * (end - start)])


@dataclass(slots=True)
class _Pixels:
    """Pixels in question: a window of the image, or single pixels of it; `x` and `y` are their ray directions."""

    x: Map
    y: Map
    index: tuple[Any, Any]

    def linear(self, form: NDArray[np.float64]) -> Map:
        """form . (x, y, 1)"""
        return self.x * np.float32(form[0]) + (self.y * np.float32(form[1]) + np.float32(form[2]))


def _draw_facet(buffer: GeometryBuffer, item: Placed, index: int, label: int) -> None:
    camera, facet = buffer.camera, item.facet
    top, bottom, left, right = item.window
    columns, rows = camera.directions
    pixels = _Pixels(columns[None, left:right], rows[top:bottom, None], (slice(top, bottom), slice(left, right)))
    offset = float(item.axes[2] @ item.origin)
    tilt = item.axes[2] / offset
    inverse = pixels.linear(tilt)
    z: Map = 1 / np.maximum(inverse, np.float32(1e-5))
    known = buffer.depth[pixels.index]
    # A decal shares the plane of its ground: it is let through by a tolerance and takes nothing from the depth.
    in_front = z < known * np.float32(1.02) + np.float32(0.02) if facet.decal else z < known
    coverage = (in_front & (inverse > 1e-5)).astype(np.float32)
    inside = np.ones_like(in_front)
    if not facet.cutout:
        shape, inside = _outline_coverage(item, camera, pixels)
        coverage *= shape
    touched = np.flatnonzero(coverage)
    if touched.size == 0:
        return
    if touched.size < 0.6 * coverage.size:  # shade the covered pixels only
        row, column = (part[None] for part in np.divmod(touched, coverage.shape[1]))
        pixels = _Pixels(columns[left + column], rows[top + row], (top + row, left + column))
        inverse, z, known, coverage = (part.ravel()[touched][None] for part in (inverse, z, known, coverage))
        inside = inside.ravel()[touched][None]
    surface = facet.shader(_texels(item, camera, pixels, tilt, z))
    if surface.alpha is not None:
        coverage *= surface.alpha
    planes = buffer.planes[:, *pixels.index]
    facing = item.axes if offset < 0 else item.axes * np.array([[1], [1], [-1]])
    values = _stack(surface, facing, inverse)
    if facet.decal:
        planes[ALBEDO] *= 1 - coverage * (1 - values[ALBEDO])
        planes[WARMTH] += coverage * values[WARMTH]
        buffer.planes[:, *pixels.index] = planes
        return
    values -= planes
    values *= coverage
    values += planes
    buffer.planes[:, *pixels.index] = values
    solid = (coverage >= 0.5) & inside
    buffer.depth[pixels.index] = np.where(solid, z, known)
    for plane, value in ((buffer.label, label), (buffer.instance, index)):
        plane[pixels.index] = np.where(solid, plane.dtype.type(value), plane[pixels.index])


def _texels(item: Placed, camera: Camera, pixels: _Pixels, tilt: NDArray[np.float64], z: Map) -> Texels:
    """Metric position on the facet and the pixel's extent there, by the derivative of the linear forms' quotient."""
    across = [z * np.float32(1 / focal) for focal in camera.focal_px]
    maps: list[Map] = []
    sizes: list[Map] = []
    for axis in item.axes[:2]:
        along = z * pixels.linear(axis)
        steps = [across[k] * (np.float32(axis[k]) - along * np.float32(tilt[k])) for k in range(2)]
        sizes.append(np.abs(steps[0]) + np.abs(steps[1]))
        maps.append(along - np.float32(axis @ item.origin))
    return Texels(*maps, *sizes)


_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]  # the cross product by index: np.cross is slow for a handful of vectors


def _outline_coverage(item: Placed, camera: Camera, pixels: _Pixels) -> tuple[Map, NDArray[np.bool_]]:
    """Share of each pixel covered by the outline, from the distance to its nearest edge, and whether the pixel's centre
    lies inside.

    The coverage is half a pixel wide of the outline, so that joined facets leave no gap.
    """
    outline = item.facet.outline
    corners = item.origin + outline @ item.axes[:2]
    middle = corners.mean(0)
    following = np.concatenate([corners[1:], corners[:1]])
    edges = corners[:, _NEXT] * following[:, _AFTER] - corners[:, _AFTER] * following[:, _NEXT]
    edges *= np.sign(edges @ middle)[:, None]
    slopes = np.hypot(edges[:, 0] / camera.K[0, 0], edges[:, 1] / camera.K[1, 1])
    coverage = None
    for edge, slope in zip(edges, slopes, strict=True):
        if slope < 1e-12:
            continue
        distance = pixels.linear(edge / slope)
        coverage = distance if coverage is None else np.minimum(coverage, distance, out=coverage)
    assert coverage is not None
    inside = coverage > np.float32(-0.02)
    coverage += 1
    return np.clip(coverage, 0, 1, out=coverage), inside


def _stack(surface: Surface, axes: NDArray[np.float64], inverse: Map) -> Map:
    """The surface's values as (14, h, w) channels."""
    values = np.empty((CHANNELS, *inverse.shape), np.float32)
    for channel in range(3):
        values[channel] = surface.albedo[channel]
        values[6 + channel] = 0.0 if surface.emission is None else surface.emission[channel]
    if surface.bend is None:
        values[NORMAL] = axes[2][:, None, None]
    else:
        bu, bv = (np.asarray(part, np.float32) for part in surface.bend)
        bn = np.sqrt(np.maximum(0.04, 1 - bu * bu - bv * bv))
        for channel in range(3):
            u_part, v_part, n_part = (np.float32(axis[channel]) for axis in axes)
            values[3 + channel] = u_part * bu + v_part * bv + n_part * bn
    values[WARMTH], values[SOLAR], values[MIRROR] = surface.warmth, surface.solar, surface.mirror
    values[INVERSE], values[COVERAGE] = inverse, 1.0
    return values

"""What the world is made of: planar facets with a surface function, grouped into things.

A facet is a convex outline in a plane. Its surface function is called with the metric position (u, v) of every pixel in
that plane and the size of the pixel there, so that textures are computed at the sharpness the pixel allows. Silhouettes
finer than the outline (people, leaves, wheels) come from the `alpha` of the surface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.world.noise import Map

Value = Map | float
Color = tuple[Value, Value, Value]

UP = np.array([0.0, -1.0, 0.0])

GROUND, DECALS, BUILT, STANDING = range(4)


@dataclass(slots=True)
class Texels:
    """Where the pixels of a window meet a facet; all (h, w) float32 in metres."""

    u: Map
    v: Map
    du: Map
    """Extent of the pixel along u."""
    dv: Map
    """Extent of the pixel along v."""


@dataclass(slots=True)
class Surface:
    """What is seen there; every value is a scalar or an (h, w) map."""

    albedo: Color
    """Linear reflectance of red, green, blue in [0, 1]."""
    warmth: Value = 0.0
    """Temperature above the air without the sun's heat [K]."""
    solar: Value = 0.0
    """Further heating under perpendicular sun [K]."""
    mirror: Value = 0.0
    """Share of mirror reflection of the sky in [0, 1]; in the infrared it stands for low emissivity."""
    emission: Color | None = None
    """Linear light given off, in units of a white wall under the midday sun."""
    bend: tuple[Value, Value] | None = None
    """Normal's components along u and v for rounded bodies; the third follows."""
    alpha: Map | None = None
    """Coverage of the pixel in [0, 1]; None where the outline alone decides."""


Shader = Callable[[Texels], Surface]


@dataclass(frozen=True, eq=False)
class Facet:
    """A planar piece of the world.

    Attributes:
        origin, u_axis, v_axis: the plane, in the world frame; the axes are orthonormal and u x v is the outward normal.
        outline: (n, 2) convex polygon in (u, v) metres.
        two_sided: also drawn when seen from behind.
        cutout: the silhouette comes from `alpha`; the outline is only its bounding polygon.
        billboard: an upright card that stands for a round body, turned towards the sun when it casts its shadow.
        casts: throws a sun shadow.
        decal: lies on a surface drawn before, changes its colour but not the depth or the labels.
    """

    origin: NDArray[np.float64]
    u_axis: NDArray[np.float64]
    v_axis: NDArray[np.float64]
    outline: NDArray[np.float64]
    shader: Shader
    two_sided: bool = False
    cutout: bool = False
    billboard: bool = False
    casts: bool = True
    decal: bool = False

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) outward unit normal u x v."""
        return cross(self.u_axis, self.v_axis)


@dataclass(eq=False)
class Thing:
    """An object of the scene: its name, the class of its label and its facets, drawn together.

    `layer` orders the drawing: one of GROUND, DECALS, BUILT (walls, houses, backdrops) and STANDING (whatever is in
    front of them). `reported` tells whether it counts as an object for boxes, facts and captions.
    """

    name: str
    facets: list[Facet]
    label: int = 0
    layer: int = STANDING
    reported: bool = True
    anchor: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """Point on the ground that gives its distance for the order of drawing."""


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross product of two vectors (3,); `np.cross` takes ten times as long for a single pair."""
    (ax, ay, az), (bx, by, bz) = a, b
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


# --- building facets --------------------------------------------------------------------------------------------------


def rectangle(u: tuple[float, float], v: tuple[float, float]) -> NDArray[np.float64]:
    """Counterclockwise outline."""
    return np.array([[u[0], v[0]], [u[1], v[0]], [u[1], v[1]], [u[0], v[1]]], float)


def upright(
    left: Sequence[float],
    right: Sequence[float],
    height: float,
    shader: Shader,
    bottom: float = 0.0,
    floor: float = 0.0,
    **options: bool,
) -> Facet:
    """A vertical wall between two ground points (x, z), ordered left to right for somebody who faces its front; v is
    the height above `floor`.
    """
    start = np.array([left[0], -floor, left[1]])
    along = np.array([right[0] - left[0], 0.0, right[1] - left[1]])
    width = float(np.linalg.norm(along))
    return Facet(start, along / width, UP, rectangle((0, width), (bottom, height)), shader, **options)


def level(
    x: tuple[float, float], z: tuple[float, float], height: float, shader: Shader, down: bool = False, **options: bool
) -> Facet:
    """A horizontal rectangle at a height, seen from above (or from below if `down`); u is the world's x, v its z, so
    textures join.
    """
    corners = np.array([[x[0], z[0]], [x[1], z[0]], [x[1], z[1]], [x[0], z[1]]], float)
    origin = np.array([0.0, -height, 0.0])
    if down:
        corners = corners[:, ::-1][::-1]
        return Facet(origin, np.array([0.0, 0, 1]), np.array([1.0, 0, 0]), corners, shader, **options)
    return Facet(origin, np.array([1.0, 0, 0]), np.array([0.0, 0, 1]), corners, shader, **options)


def polygon(points: Sequence[Sequence[float] | NDArray[np.float64]], shader: Shader, **options: bool) -> Facet:
    """A facet through 3D points given counterclockwise as seen from its front; u runs along the first edge from the
    first point.
    """
    corners = np.asarray(points, float)
    u_axis = corners[1] - corners[0]
    u_axis = u_axis / np.linalg.norm(u_axis)
    normal = cross(u_axis, corners[-1] - corners[0])
    normal = normal / np.linalg.norm(normal)
    v_axis = cross(normal, u_axis)
    offsets = corners - corners[0]
    return Facet(corners[0], u_axis, v_axis, np.stack([offsets @ u_axis, offsets @ v_axis], 1), shader, **options)


def card(
    foot: NDArray[np.float64],
    facing: NDArray[np.float64],
    extent: tuple[float, float, float, float],
    shader: Shader,
    **options: bool,
) -> Facet:
    """An upright card at `foot` (3,) that faces the point `facing`; extent = (u_min, u_max, v_min, v_max) around the
    foot, cut out by alpha.
    """
    away = np.array([facing[0] - foot[0], 0.0, facing[2] - foot[2]])
    away /= max(float(np.linalg.norm(away)), 1e-9)
    u_axis = np.array([-away[2], 0.0, away[0]])
    u0, u1, v0, v1 = extent
    outline = np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]], float)
    return Facet(
        np.asarray(foot, float),
        u_axis,
        UP,
        outline,
        shader,
        cutout=True,
        **{"two_sided": True, "billboard": True, **options},
    )


# --- masks ------------------------------------------------------------------------------------------------------------


def band(x: Map, low: Value, high: Value, width: Map) -> Map:
    """Coverage of low <= x <= high by pixels of `width`."""
    soft = 1 / np.maximum(width, 1e-4)
    return np.clip((x - low) * soft + 0.5, 0, 1) * np.clip((high - x) * soft + 0.5, 0, 1)


def box(at: Texels, u: tuple[float, float], v: tuple[float, float]) -> Map:
    """Coverage of a rectangle of the facet."""
    return band(at.u, u[0], u[1], at.du) * band(at.v, v[0], v[1], at.dv)


def disc(u: Map, v: Map, radius: Value, width: Map) -> Map:
    """Coverage of a disc around u = v = 0."""
    return np.clip((radius - np.sqrt(u * u + v * v)) / np.maximum(width, 1e-4) + 0.5, 0, 1)


def mix(a: Value, b: Value, share: Value) -> Value:
    """a where share is 0, b where it is 1."""
    return a + (b - a) * share


def blend(a: Color, b: Color, share: Value) -> Color:
    """`mix` for colours."""
    return mix(a[0], b[0], share), mix(a[1], b[1], share), mix(a[2], b[2], share)


def tint(color: Color, factor: Value) -> Color:
    """A colour made lighter or darker."""
    return color[0] * factor, color[1] * factor, color[2] * factor

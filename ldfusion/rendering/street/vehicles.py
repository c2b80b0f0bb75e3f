"""Cars, vans, trucks and buses: closed bodies of flat panels with painted wheels, glass, lamps and a warm engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.street import panels
from ldfusion.rendering.world.surface import (
    UP,
    Color,
    Facet,
    Thing,
    polygon,
)

OnBody = Callable[[float, float, float], NDArray[np.float64]]
"""(s forward, to the right, height) on a vehicle -> point of the world."""

PAINTS: tuple[Color, ...] = (
    (0.62, 0.62, 0.62),
    (0.36, 0.37, 0.39),
    (0.05, 0.05, 0.055),
    (0.55, 0.03, 0.03),
    (0.04, 0.10, 0.34),
    (0.15, 0.16, 0.17),
    (0.30, 0.26, 0.20),
    (0.05, 0.20, 0.16),
    (0.60, 0.50, 0.10),
    (0.70, 0.69, 0.66),
)


SHAPES: dict[str, tuple[panels.Shape, ...]] = {
    "car": (
        panels.Shape(4.5, 1.8, 1.45, 0.24, 0.72, 0.93, 1.15, 1.95, 1.25, 0.55, 0.32, 0.17),
        panels.Shape(4.0, 1.72, 1.50, 0.24, 0.78, 0.95, 0.95, 1.70, 0.55, 0.12, 0.31, 0.15),
        panels.Shape(4.6, 1.86, 1.70, 0.32, 0.95, 1.08, 1.05, 1.80, 0.55, 0.15, 0.36, 0.14),
    ),
    "van": (panels.Shape(4.9, 1.92, 2.0, 0.30, 0.95, 1.12, 0.55, 1.25, 0.18, 0.06, 0.33, 0.10),),
    "truck": (panels.Shape(6.4, 2.2, 3.0, 0.55, 1.15, 1.50, 0.12, 0.30, 0.05, 0.02, 0.45, 0.02, False),),
    "bus": (panels.Shape(9.5, 2.5, 3.1, 0.38, 0.95, 1.15, 0.08, 0.25, 0.10, 0.04, 0.48, 0.04),),
}


def vehicle(
    rng: np.random.Generator, kind: str, at: tuple[float, float], heading: float, running: bool, lamps: bool
) -> tuple[Thing, list[Facet]]:
    """A vehicle of `SHAPES` at the ground point (x, z) that faces `heading` (radians from +z towards +x).

    Returns:
        The thing, and the decals on the ground below it (contact shadow, warm road) that are drawn before all things.
    """
    shape = SHAPES[kind][rng.integers(len(SHAPES[kind]))]
    paint = PAINTS[rng.integers(len(PAINTS))]
    engine = float(rng.uniform(0.6, 1.0)) if running else float(rng.choice([0.0, 0.25]))
    forward = np.array([np.sin(heading), 0, np.cos(heading)])
    right = np.array([np.cos(heading), 0, -np.sin(heading)])
    foot = np.array([at[0], 0.0, at[1]])

    def at_body(s: float, side: float, h: float) -> NDArray[np.float64]:
        return foot + forward * s + right * side + UP * h

    facets = [*_sides(shape, paint, engine, at_body), *_ends(rng, shape, paint, engine, running and lamps, at_body)]
    ground = polygon(
        [at_body(s, w, 0.0) for s, w in _corners(shape.length + 0.9, shape.width + 0.9)],
        panels.below(shape, engine),
        decal=True,
        casts=False,
    )
    return Thing(kind, facets, label=1, anchor=foot), [ground]


def _corners(length: float, width: float) -> list[tuple[float, float]]:
    """Counterclockwise as seen from above: rear left, rear right, front right, front left."""
    return [(-length / 2, -width / 2), (-length / 2, width / 2), (length / 2, width / 2), (length / 2, -width / 2)]


def _sides(shape: panels.Shape, paint: Color, engine: float, at_body: OnBody) -> list[Facet]:
    half, w = shape.length / 2, shape.width / 2
    cowl, rear = half - shape.cowl, -half + shape.rear_glass
    lower = [
        (-half, 0.0),
        (half, 0.0),
        (half, shape.nose),
        (cowl, shape.belt),
        (rear, shape.belt),
        (-half, shape.belt - 0.06),
    ]
    top = w - 0.03 - shape.lean
    cabin = [
        (rear, w, shape.belt),
        (cowl, w, shape.belt),
        (half - shape.roof_front, top, shape.height),
        (-half + shape.roof_rear, top, shape.height),
    ]
    facets = []
    for side in (1.0, -1.0):
        order = 1 if side > 0 else -1
        bottom = [at_body(s, side * w, h) for s, h in lower][::order]
        upper = [at_body(s, side * width, h) for s, width, h in cabin][::order]
        if side < 0:  # start with the lower edge, so that u runs along it
            bottom, upper = bottom[-2:] + bottom[:-2], upper[-2:] + upper[:-2]
        facets.append(polygon(bottom, panels.side(shape, paint, engine, side)))
        facets.append(polygon(upper, panels.cabin_side(shape, paint, cowl - rear), casts=True))
    return facets


def _ends(
    rng: np.random.Generator, shape: panels.Shape, paint: Color, engine: float, lamps: bool, at_body: OnBody
) -> list[Facet]:
    """Front, bonnet, windscreen, roof, rear window, boot and rear, from front to rear."""
    half, w = shape.length / 2, shape.width / 2
    top = w - 0.03 - shape.lean
    stations = [
        (half, w, shape.sill - 0.04),
        (half - 0.03, w, shape.nose),
        (half - shape.cowl, w, shape.belt),
        (half - shape.roof_front, top, shape.height),
        (-half + shape.roof_rear, top, shape.height),
        (-half + shape.rear_glass, w, shape.belt),
        (-half + 0.02, w, shape.belt - 0.06),
        (-half, w, shape.sill - 0.04),
    ]
    glass = panels.glass()
    shaders = [
        panels.front(shape, paint, engine, lamps),
        panels.panel(paint, 9 * engine, 0.24),
        glass,
        panels.panel(paint, 0.5, 0.24),
        glass if shape.windows else panels.panel(paint, 0.0, 0.15),
        panels.panel(paint, 0.5, 0.24),
        panels.rear(rng, shape, paint, engine, lamps),
    ]
    facets = []
    for (s0, w0, h0), (s1, w1, h1), shader in zip(stations, stations[1:], shaders, strict=False):
        points = [
            at_body(s0, w0, h0),
            at_body(s0, -w0, h0),
            at_body(s1, -w1, h1),
            at_body(s1, w1, h1),
        ]
        facets.append(polygon(points, shader))
    # The rear was built from its upper edge; turn it so that v is the height above its lower edge.
    s0, w0, h0 = stations[-1]
    s1, w1, h1 = stations[-2]
    facets[-1] = polygon(
        [at_body(s0, -w0, h0), at_body(s0, w0, h0), at_body(s1, w1, h1), at_body(s1, -w1, h1)], shaders[-1]
    )
    return facets

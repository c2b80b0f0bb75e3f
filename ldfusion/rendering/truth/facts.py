"""Facts of a rendered pair: which objects are there, where, how far, and what each camera shows of them, measured in
the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldfusion.rendering.sensor.raster import GeometryBuffer
from ldfusion.rendering.world.surface import Thing

MAX_OBJECTS = 8
MAX_TARGETS = 5
TARGETS = ("person", "car", "van", "truck", "bus", "bicycle", "motorcycle")
DISTANCE_LIMITS_M = {"street": (9.0, 25.0), "room": (2.8, 4.8)}
"""Up to the first is near, up to the second mid, beyond far."""
WARM_KELVIN = 2.0
SEEN_CONTRAST = {"visible": 0.05, "infrared": 0.045}
"""Difference to the surroundings, in display units, from which on an object is said to be seen."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the facts of one camera are measured in."""

    buffer: GeometryBuffer
    display: NDArray[np.float32]
    """(H, W) brightness as displayed, in [0, 1]."""
    kelvin: NDArray[np.float32] | None = None
    """(H, W) radiant temperature, for the infrared camera."""


def gather(
    light: str,
    place: str,
    scene: str,
    things: list[Thing],
    visible: Pictures,
    infrared: Pictures,
    pixels: dict[int, int],
) -> dict[str, Any]:
    """Light, scene and up to eight objects, nearest first, in the structure of the caption file of the real pairs.

    Up to five targets (people and vehicles) are kept before other objects, and near ones before far ones; an object
    that no camera shows is left out.
    """
    height, width = visible.display.shape
    least = max(8, height * width // 4000)
    candidates = []
    for index, count in pixels.items():
        thing = things[index]
        if thing.reported and count >= (least // 2 if thing.name in TARGETS else 2 * least):
            mine = visible.buffer.instance == index
            candidates.append((thing.name not in TARGETS, float(np.median(visible.buffer.depth[mine])), index, mine))
    candidates.sort(key=lambda item: item[:3])
    near, mid = DISTANCE_LIMITS_M[place]
    objects: list[tuple[float, dict[str, str]]] = []
    names: dict[str, int] = {}
    for _, depth, index, mine in candidates:
        name = things[index].name
        targets = sum(names.get(target, 0) for target in TARGETS)
        enough = targets == MAX_TARGETS if name in TARGETS else names.get(name, 0) == 2
        if enough or len(objects) == MAX_OBJECTS:
            continue
        ground = name in ("road", "rug")  # lies in front of everything
        shown = (
            ground or _seen(visible, mine, "visible"),
            _seen(infrared, infrared.buffer.instance == index, "infrared"),
        )
        if not any(shown):
            continue
        names[name] = names.get(name, 0) + 1
        depth = min(0.9 * near, float(visible.buffer.depth[mine].min())) if ground else depth
        columns = np.nonzero(mine.any(0))[0]
        middle = (columns[0] + columns[-1] + 1) / 2 / width
        fact = {
            "name": name,
            "position": "center" if ground else ("left", "center", "right")[min(2, int(3 * middle))],
            "distance": "near" if depth < near else "mid" if depth < mid else "far",
            "visible_in": "both" if all(shown) else "visible" if shown[0] else "infrared",
            "thermal": _thermal(infrared, infrared.buffer.instance == index),
        }
        objects.append((depth, fact))
    return {"light": light, "scene": scene, "objects": [fact for _, fact in sorted(objects, key=lambda item: item[0])]}


def _surroundings(mine: NDArray[np.bool_]) -> tuple[tuple[slice, slice], NDArray[np.bool_]] | None:
    """A window around the object, a few pixels wider than it, and what in it is not the object."""
    rows, columns = np.nonzero(mine.any(1))[0], np.nonzero(mine.any(0))[0]
    if len(rows) == 0:
        return None
    margin = 3 + (rows[-1] - rows[0]) // 8
    window = (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
    return window, ~mine[window]


def _seen(pictures: Pictures, mine: NDArray[np.bool_], modality: str) -> bool:
    found = _surroundings(mine)
    if found is None:
        return False
    window, around = found
    inside, outside = pictures.display[window][~around], pictures.display[window][around]
    if outside.size < 4:
        return True
    # Structure counts, too: a dark car before a dark wall is seen by its lamps and its windows.
    contrast = max(abs(float(inside.mean() - outside.mean())), 0.8 * float(inside.std()) - 0.4 * float(outside.std()))
    return contrast > SEEN_CONTRAST[modality]


def _thermal(infrared: Pictures, mine: NDArray[np.bool_]) -> str:
    found = _surroundings(mine)
    assert infrared.kelvin is not None
    if found is None:
        return "neutral"
    window, around = found
    around = around & np.isfinite(infrared.buffer.depth[window])  # everything is warm beside the sky
    if around.sum() < 4:
        return "neutral"
    kelvin = infrared.kelvin[window]
    difference = float(kelvin[mine[window]].mean() - kelvin[around].mean())
    return "warm" if difference > WARM_KELVIN else "cool" if difference < -WARM_KELVIN else "neutral"

"""Object boxes of pairs: reading them, joining what both sensors show, and bringing them to another size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from ldfusion.data.labels import MASK_CLASSES
from ldfusion.errors import InputError
from ldfusion.io.files import json_lines

BOX_CLASSES = MASK_CLASSES[1:]
"""Names of the detection classes (car, person, bike); a class id is the place in this tuple."""
GROUPS = {
    **dict.fromkeys(("car", "truck", "bus", "van"), "car"),
    "person": "person",
    **dict.fromkeys(("bicycle", "motorcycle", "bike"), "bike"),
}
"""Object names of common detectors (COCO) -> our class; other names are not detection targets."""
SENSORS = {"visible": 1, "infrared": 2}
"""Bits of the field ``seen``."""
SAME_OBJECT = 0.5
"""Intersection over union from which two boxes of one class are one object."""
LEAST_PART = 1 / 2500
"""Share of the image from which a part of a mask is an object to be found: 123 pixels of 640x480."""


@dataclass(frozen=True)
class LabelBox:
    """One object: class id of `BOX_CLASSES`, pixel edges x1 < x2 and y1 < y2, and the sensors that show it."""

    label: int
    xyxy: tuple[float, float, float, float]
    seen: int = 3
    """sum of the bits of `SENSORS`"""
    score: float = 1.0


def read_boxes(file: str | Path) -> dict[str, list[LabelBox]]:
    """Objects by pair name ``dataset/stem``, in pixels of the pair's visible file.

    A line is a JSON object with ``stem``, optionally ``dataset``, and ``boxes``: a list of objects with ``name``,
    ``xyxy``, and optionally ``modality`` (both without it) and ``score``. Boxes of one object in both modalities are
    joined: the surer one is kept. Names outside of `GROUPS` are passed over.

    Raises:
        InputError: missing file, a line that is not JSON, a record without a needed key, or a box without an area.
    """
    file = Path(file)
    if not file.is_file():
        raise InputError(f"{file}: no such box file (JSON lines with 'dataset', 'stem' and 'boxes')")
    found: dict[str, list[LabelBox]] = {}
    for where, record in json_lines(file.read_text(encoding="utf-8", errors="replace"), file):
        if not isinstance(record, dict) or "stem" not in record or not isinstance(record.get("boxes"), list):
            raise InputError(f"{where}: expected an object with 'stem' and a list 'boxes'")
        name = f"{record['dataset']}/{record['stem']}" if "dataset" in record else str(record["stem"])
        boxes = [_parse(box, where) for box in record["boxes"]]
        found[name] = join(box for box in boxes if box is not None)
    return found


def _parse(box: Any, where: str) -> LabelBox | None:
    if not isinstance(box, dict) or "name" not in box or "xyxy" not in box:
        raise InputError(f"{where}: a box needs 'name' and 'xyxy'")
    group = GROUPS.get(str(box["name"]))
    if group is None:
        return None
    try:
        x1, y1, x2, y2 = (float(value) for value in box["xyxy"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: 'xyxy' of a box is {box['xyxy']!r}; it needs four numbers") from error
    if not (math.isfinite(x1 + y1 + x2 + y2) and x1 < x2 and y1 < y2):
        raise InputError(f"{where}: box {box['xyxy']} has no area; write x1 < x2 and y1 < y2")
    modality = box.get("modality")
    if modality is not None and modality not in SENSORS:
        raise InputError(f"{where}: unknown modality '{modality}' of a box; known: visible, infrared")
    seen = sum(SENSORS.values()) if modality is None else SENSORS[modality]
    return LabelBox(BOX_CLASSES.index(group), (x1, y1, x2, y2), seen, float(box.get("score", 1.0)))


def join(boxes: Iterable[LabelBox]) -> list[LabelBox]:
    """One box an object: of boxes of one class that overlap by `SAME_OBJECT` the surest stays, seen by all of them."""
    kept: list[LabelBox] = []
    for box in sorted(boxes, key=lambda b: -b.score):
        for place, other in enumerate(kept):
            if other.label == box.label and iou(other.xyxy, box.xyxy) >= SAME_OBJECT:
                kept[place] = LabelBox(other.label, other.xyxy, other.seen | box.seen, other.score)
                break
        else:
            kept.append(box)
    return kept


def iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes, 0..1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def mask_boxes(mask: Tensor, least: float = LEAST_PART) -> list[LabelBox]:
    """A box around every connected part of a true mask that is a car, a person or a bike.

    Parts touch by their sides or corners; objects of one class that touch are one part. Smaller ones are left out.

    Args:
        mask: class ids (H, W), MSRS.
        least: area of a part, as a share of the image.
    """
    ids = mask.numpy()
    found = []
    for label in range(len(BOX_CLASSES)):
        member = (ids == label + 1).astype(np.uint8)
        _, _, statistics, _ = cv2.connectedComponentsWithStats(member, connectivity=8)
        for left, top, width, height, area in statistics[1:].tolist():  # the first is the background
            if area >= least * ids.size:
                found.append(LabelBox(label, (left, top, left + width, top + height)))
    return found


def to_array(boxes: Iterable[LabelBox]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(n, 6) float32: x1, y1, x2, y2, class id, seen."""
    rows = [(*box.xyxy, box.label, box.seen) for box in boxes]
    return np.asarray(rows, np.float32).reshape(-1, 6)

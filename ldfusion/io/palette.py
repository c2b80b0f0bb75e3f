"""Colour palettes of thermal cameras: grey to colour, and back by the palette's own order.

A colour-mapped picture has lost its values but not their order: each colour is a place on a line through colour space.
The luma of a colour is no measure of that place (the middle of a rainbow is its brightest part). Lines are OpenCV's
colour maps and some palettes of cameras, by colours measured on their pictures.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ldfusion.io.notices import notice

LEVELS = 256
_CLOSE = 0.7
"""A picture is of a palette when its colours lie this much closer to it than to grey, in the mean.

JPEG files of six cameras lie at 0.14 to 0.25, the 442 photographs of RoadScene, MSRS, M3SVD and LLVIP at 1.05 to 3."""
_FAR = 100.0  # a distance beyond this counts as this: lettering and logos
_CHUNK = 2048  # colours compared at once

_MAPS = ("inferno", "magma", "plasma", "viridis", "turbo", "jet", "hot", "rainbow", "hsv")
_ANCHORS: dict[str, tuple[tuple[int, int, int], ...]] = {
    # of FLIR's and DJI's cameras, cold to hot
    "iron": (
        (0, 2, 16),
        (28, 16, 102),
        (72, 10, 141),
        (110, 9, 159),
        (142, 17, 161),
        (170, 29, 148),
        (192, 45, 127),
        (210, 64, 97),
        (224, 87, 69),
        (234, 109, 43),
        (241, 133, 21),
        (243, 157, 10),
        (244, 179, 11),
        (243, 200, 32),
        (238, 218, 73),
        (232, 230, 141),
        (246, 252, 246),
    ),
    "iron red": (
        (17, 16, 50),
        (39, 15, 91),
        (66, 12, 108),
        (96, 15, 125),
        (142, 15, 136),
        (176, 22, 134),
        (193, 41, 97),
        (197, 84, 50),
        (218, 120, 40),
        (238, 165, 36),
        (244, 209, 40),
        (237, 234, 40),
        (234, 235, 100),
        (240, 240, 200),
    ),
    "rainbow of high contrast": (
        (16, 16, 16),
        (120, 15, 121),
        (209, 15, 214),
        (105, 15, 179),
        (14, 30, 155),
        (14, 133, 187),
        (12, 199, 192),
        (13, 132, 88),
        (42, 103, 14),
        (130, 161, 10),
        (207, 201, 7),
        (162, 105, 11),
        (124, 16, 17),
        (164, 36, 36),
        (204, 60, 61),
        (218, 145, 143),
        (232, 228, 228),
    ),
    "hue": (
        (200, 0, 117),
        (234, 7, 203),
        (200, 8, 246),
        (132, 8, 254),
        (67, 17, 251),
        (30, 42, 246),
        (11, 94, 252),
        (12, 177, 251),
        (6, 247, 230),
        (4, 255, 178),
        (2, 255, 80),
        (3, 255, 28),
        (63, 254, 7),
        (160, 255, 11),
        (209, 247, 7),
        (225, 213, 4),
        (245, 195, 0),
        (255, 120, 0),
        (255, 20, 0),
    ),
}
NAMES = (*_MAPS, *_ANCHORS)


@cache
def palette(name: str) -> NDArray[np.uint8]:
    """Colours of a palette, cold to hot: (256, 3) RGB."""
    if name in _ANCHORS:
        anchors = np.array(_ANCHORS[name], dtype=np.float64)
        places = np.linspace(0, len(anchors) - 1, LEVELS)
        colours = [np.interp(places, np.arange(len(anchors)), channel) for channel in anchors.T]
        return np.stack(colours, axis=1).round().astype(np.uint8)
    ramp = np.arange(LEVELS, dtype=np.uint8)[:, None]
    mapped = cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]
    return np.ascontiguousarray(mapped)


def apply_palette(grey: NDArray[np.floating], name: str) -> NDArray[np.uint8]:
    """``(H, W)`` in [0, 1] -> ``(H, W, 3)`` RGB in the colours of a palette."""
    index = np.clip(np.rint(grey * (LEVELS - 1)), 0, LEVELS - 1).astype(np.uint8)
    return palette(name)[index]


def recognise(picture: NDArray[np.uint8]) -> str | None:
    """The palette that a colour picture ``(H, W, 3)`` is painted in, None where it is none of `NAMES`."""
    step = max(1, int(np.sqrt(picture.shape[0] * picture.shape[1] / 60_000)))
    colours, counts = _distinct(picture[::step, ::step], 2)

    def mean(distance: NDArray[np.float32]) -> float:
        return float((np.minimum(distance, _FAR) * counts).sum() / counts.sum())

    from_grey = mean(np.linalg.norm(colours - colours.mean(axis=1, keepdims=True), axis=1))
    distance = {name: mean(_nearest(colours, palette(name))[1]) for name in NAMES}
    best = min(distance, key=distance.__getitem__)
    return best if distance[best] <= _CLOSE * from_grey else None


def told_palette(path: str | Path, picture: NDArray[np.uint8]) -> str | None:
    """`recognise` of a picture (H, W, 3), the infrared file ``path``; the log says what was found and follows."""
    name = recognise(picture)
    if name is None:
        notice(
            f"infrared {path} is colour-mapped in no known palette: its luma is used. Is it the visible image? "
            "Else export it in grey for true intensities"
        )
    else:
        notice(f"infrared {path} is colour-mapped (palette '{name}'): turned back to grey by the palette's order")
    return name


def to_grey(picture: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB -> ``(H, W)``: 0 for the palette's cold end to 255 for its hot end.

    Each pixel takes the place of the colour nearest to it (7 bits a channel are compared).
    """
    colours, _ = _distinct(picture, 1)
    index, _ = _nearest(colours, palette(name))
    table = np.zeros(1 << 21, dtype=np.uint8)
    table[_key(colours.astype(np.uint8), 1)] = index
    return table[_key(picture, 1)]


def _key(picture: NDArray[np.uint8], drop: int) -> NDArray[np.int32]:
    """One number for each colour, its lowest ``drop`` bits left out."""
    bits = 8 - drop
    red, green, blue = (picture[..., channel].astype(np.int32) >> drop for channel in range(3))
    return (red << 2 * bits) | (green << bits) | blue


def _distinct(picture: NDArray[np.uint8], drop: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The different colours (N, 3) of a picture, in the middle of their cells, and how often each occurs."""
    bits = 8 - drop
    counts = np.bincount(_key(picture, drop).ravel(), minlength=1 << 3 * bits)
    keys = np.flatnonzero(counts)
    cells = np.stack([keys >> 2 * bits, (keys >> bits) & ((1 << bits) - 1), keys & ((1 << bits) - 1)], axis=1)
    return ((cells << drop) + (1 << drop) // 2).astype(np.float32), counts[keys]


def _nearest(colours: NDArray[np.float32], line: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Index of the nearest colour of the line, and the distance to it, for each of (N, 3)."""
    points = line.astype(np.float32)
    norm = (points**2).sum(axis=1)
    index = np.empty(len(colours), dtype=np.uint8)
    distance = np.empty(len(colours), dtype=np.float32)
    for start in range(0, len(colours), _CHUNK):
        part = colours[start : start + _CHUNK]
        squared = norm - 2 * part @ points.T
        found = squared.argmin(axis=1)
        index[start : start + _CHUNK] = found
        least = squared[np.arange(len(part)), found] + (part**2).sum(axis=1)
        distance[start : start + _CHUNK] = np.sqrt(np.maximum(least, 0))
    return index, distance

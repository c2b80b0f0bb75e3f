"""Raw counts in the JPEG files of DJI's own thermal cameras (H20T, M2EA, M3T, XT S and their like).

The counts are uint16, little-endian, row by row, cut into segments of one marker: APP3, or APP4 where APP3 holds
something else. How counts become degrees is not published (DJI's closed SDK does it), so no degrees are given.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ldfusion.io.jpeg import segments

_MARKERS = (0xE3, 0xE4, 0xE5)
_MAKER = b"DJI"
_SIZES = ((512, 640), (256, 320), (1024, 1280), (240, 320), (288, 384), (192, 256), (480, 640))
"""(height, width) of detectors; a file's own picture size is tried before them."""


def find_counts(data: bytes, picture: tuple[int, int]) -> NDArray[np.uint16] | None:
    """The raw counts of a DJI JPEG file as (H, W), None where it holds none.

    Args:
        data: the file.
        picture: (height, width) of its picture.
    """
    parts: dict[int, list[bytes]] = {}
    known = False
    for marker, body in segments(data):
        known = known or (marker == 0xE1 and _MAKER in body)  # in the EXIF block, as maker or in the XMP
        if marker in _MARKERS:
            parts.setdefault(marker, []).append(body)
    if not known:
        return None
    for pieces in parts.values():
        block = b"".join(pieces)
        for size in (picture, *_SIZES):
            if len(block) == 2 * math.prod(size):
                return np.frombuffer(block, dtype="<u2").reshape(size).astype(np.uint16)
    return None

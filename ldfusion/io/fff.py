r"""The "FFF" block of FLIR cameras: records of raw counts, calibration, visible photo and palette.

The layout is that of the ExifTool documentation of FLIR tags: a header, a directory of 32-byte entries, and records
that state their own byte order in their first word. Radiometric JPEGs carry the block in pieces (APP1, "FLIR\\0"), so
do the files of DJI's XT and XT2. Nothing of a block is trusted: what does not fit ends in a `ValueError`.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from ldfusion.io.jpeg import joined
from ldfusion.io.planck import Calibration

_APP1 = 0xE1
_PIECE_HEADER = 8  # "FLIR\0", version, piece, last piece
_RAW, _PHOTO, _CAMERA, _PLACE = 0x01, 0x0E, 0x20, 0x2A
_DATA = 0x20  # where the data of an image record begin
_MAX_SIDE = 8192


@dataclass(frozen=True, eq=False)
class FlirImage:
    """What one FFF block holds.

    Attributes:
        counts: (H, W) uint16 as the detector gave them.
        calibration: their Planck constants and the air between; None where the block has no camera record.
        model: the camera's name, empty where it is not told.
        photo: (H', W', 3) uint8 RGB, the visible photo taken with it; None where there is none.
        placement: (3, 3), infrared pixels (x, y, 1) -> photo pixels, pixel centres at integers; None as ``photo``.
    """

    counts: NDArray[np.uint16]
    calibration: Calibration | None
    model: str
    photo: NDArray[np.uint8] | None = None
    placement: NDArray[np.float64] | None = None


def find_block(data: bytes) -> bytes:
    """The FFF block of a JPEG file, empty where it has none."""
    return joined(data, _APP1, b"FLIR\0", _PIECE_HEADER)


def parse_block(block: bytes) -> FlirImage:
    """Read an FFF block.

    Raises:
        ValueError: it is cut short, or holds no thermal image that can be decoded.
    """
    try:
        records = _records(block)
        if _RAW not in records:
            raise ValueError("no raw thermal image in it")
        counts = _counts(records[_RAW])
        calibration, model = _camera(records[_CAMERA]) if _CAMERA in records else (None, "")
        photo = _photo(records[_PHOTO]) if _PHOTO in records else None
        if photo is None:
            return FlirImage(counts, calibration, model)
        placement = _placement(records.get(_PLACE, b""), counts.shape, photo.shape)
        return FlirImage(counts, calibration, model, photo, placement)
    except (struct.error, OSError, SyntaxError) as error:
        raise ValueError(str(error) or "cut short") from error


def _records(block: bytes) -> dict[int, bytes]:
    """The records by type, the first of each."""
    if block[:4] not in (b"FFF\0", b"AFF\0"):
        raise ValueError("no FFF header")
    order = next((o for o in "<>" if 100 <= struct.unpack_from(f"{o}I", block, 0x14)[0] < 200), None)
    if order is None:
        raise ValueError("unknown version of the FFF header")
    start, count = struct.unpack_from(f"{order}II", block, 0x18)
    found: dict[int, bytes] = {}
    for entry in range(min(count, 1000)):
        kind, _, _, _, offset, length = struct.unpack_from(f"{order}HHIIII", block, start + 32 * entry)
        if kind and kind not in found and offset + length <= len(block):
            found[kind] = block[offset : offset + length]
    return found


def _order(record: bytes) -> str:
    """``<`` or ``>``: the first word of a record is a small number."""
    return "<" if struct.unpack_from("<H", record)[0] < 0x100 else ">"


def _size(record: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(f"{_order(record)}HH", record, 2)
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise ValueError(f"a picture of {width}x{height} pixels")
    return height, width


def _counts(record: bytes) -> NDArray[np.uint16]:
    height, width = _size(record)
    data = record[_DATA:]
    if data.startswith(b"\x89PNG"):
        with PngImageFile(io.BytesIO(data)) as image:
            if image.size != (width, height) or image.mode not in ("I;16", "I;16B", "I"):
                raise ValueError(f"a thermal PNG of {image.size[0]}x{image.size[1]} pixels, mode {image.mode}")
            # the cameras write the low byte first, which PNG reads the other way round
            return np.asarray(image).astype(np.uint16).byteswap()
    if len(data) < 2 * width * height:
        raise ValueError(f"{len(data)} bytes for {width}x{height} thermal pixels")
    raw = np.frombuffer(data, dtype=f"{_order(record)}u2", count=width * height)
    return raw.reshape(height, width).astype(np.uint16)


def _camera(record: bytes) -> tuple[Calibration | None, str]:
    order = _order(record)

    def number(offset: int, kind: str = "f") -> float:
        return float(struct.unpack_from(order + kind, record, offset)[0])

    humidity = number(0x3C)
    calibration = Calibration(
        emissivity=number(0x20),
        distance=number(0x24),
        reflected=number(0x28),
        air=number(0x2C),
        window=number(0x30),
        window_transmission=number(0x34),
        humidity=humidity / 100 if humidity > 2 else humidity,  # some cameras write percent
        r1=number(0x58),
        b=number(0x5C),
        f=number(0x60),
        alpha=(number(0x70), number(0x74)),
        beta=(number(0x78), number(0x7C)),
        x=number(0x80),
        o=number(0x308, "i"),
        r2=number(0x30C),
    )
    model = record[0xD4:0xF4].split(b"\0")[0].decode("ascii", "replace")
    return (calibration if calibration.usable() else None), model


def _photo(record: bytes) -> NDArray[np.uint8] | None:
    _size(record)
    data = record[_DATA:]
    if data.startswith(b"\xff\xd8"):
        with JpegImageFile(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    if data.startswith(b"\x89PNG"):
        with PngImageFile(io.BytesIO(data)) as image:
            # its three channels are Y, Cb, Cr, whatever the PNG says
            stored = np.asarray(image.convert("RGB"))
        return np.asarray(Image.fromarray(stored, mode="YCbCr").convert("RGB"))
    return None


def _placement(record: bytes, thermal: tuple[int, ...], photo: tuple[int, ...]) -> NDArray[np.float64]:
    """The infrared picture lies in the middle of the photo, moved by the offset, ``ratio`` times smaller than it."""
    ratio, right, down = 1.0, 0, 0
    if len(record) >= 8:
        order = next((o for o in "<>" if 0.2 <= struct.unpack_from(f"{o}f", record)[0] <= 20), "")
        if order:
            ratio = struct.unpack_from(f"{order}f", record)[0]
            right, down = struct.unpack_from(f"{order}hh", record, 4)
    scale = photo[1] / (thermal[1] * ratio)
    centre = [(side - 1) / 2 for side in (thermal[1], thermal[0], photo[1], photo[0])]
    return np.array(
        [
            [scale, 0, centre[2] + scale * (right - centre[0])],
            [0, scale, centre[3] + scale * (down - centre[1])],
            [0, 0, 1],
        ]
    )

"""Small files of the same structure as those of thermal cameras, made from known values."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PLANCK = {"r1": 14748.045, "b": 1393.3, "f": 1.0, "o": -5790, "r2": 0.011027409}
AIR = {"emissivity": 0.95, "distance": 5.0, "reflected": 280.14, "air": 293.15, "window": 293.15, "through": 1.0}
ATMOSPHERE = {"humidity": 0.5, "alpha": (0.006569, 0.01262), "beta": (-0.002276, -0.00667), "x": 1.9}


def jpeg(picture: NDArray[np.uint8], pieces: list[tuple[int, bytes]]) -> bytes:
    """A JPEG file with further segments (marker, payload) before its picture."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    extra = b"".join(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in pieces)
    return data[:2] + extra + data[2:]


def fff_block(
    counts: NDArray[np.uint16],
    photo: NDArray[np.uint8] | None = None,
    kind: str = "raw",
    photo_kind: str = "jpeg",
    place: tuple[float, int, int] = (1.0, 0, 0),
    order: str = ">",
    calibrated: bool = True,
) -> bytes:
    """A FLIR block; ``kind`` of the thermal record is raw or png, ``order`` that of header and directory."""
    height, width = counts.shape
    head = struct.pack("<HHH", 2, width, height).ljust(0x20, b"\0")
    records = [(0x01, head + (counts.astype("<u2").tobytes() if kind == "raw" else _png(counts.byteswap())))]
    camera = bytearray(0x400)
    struct.pack_into("<H", camera, 0, 2)
    if calibrated:
        first = [AIR[k] for k in ("emissivity", "distance", "reflected", "air", "window", "through")]
        struct.pack_into("<6f", camera, 0x20, *first)
        struct.pack_into("<f", camera, 0x3C, ATMOSPHERE["humidity"])
        struct.pack_into("<3f", camera, 0x58, PLANCK["r1"], PLANCK["b"], PLANCK["f"])
        struct.pack_into("<5f", camera, 0x70, *ATMOSPHERE["alpha"], *ATMOSPHERE["beta"], ATMOSPHERE["x"])
        struct.pack_into("<if", camera, 0x308, PLANCK["o"], PLANCK["r2"])
    camera[0xD4:0xDD] = b"FLIR Test"
    records.append((0x20, bytes(camera)))
    if photo is not None:
        head = struct.pack("<HHH", 3, photo.shape[1], photo.shape[0]).ljust(0x20, b"\0")
        if photo_kind == "jpeg":
            body = jpeg(photo, [])
        else:  # Y, Cb, Cr in the channels of a PNG
            body = _png(np.asarray(Image.fromarray(photo).convert("YCbCr")))
        records += [(0x0E, head + body), (0x2A, struct.pack("<f2h", *place).ljust(0x20, b"\0"))]
    start = 0x40 + 32 * len(records)
    directory, bodies = b"", b""
    for index, (number, body) in enumerate(records):
        offset = start + len(bodies)
        directory += struct.pack(f"{order}HHIIII", number, 1, 100, index, offset, len(body)).ljust(32, b"\0")
        bodies += body
    header = b"FFF\0" + b"test".ljust(16, b"\0") + struct.pack(f"{order}III", 101, 0x40, len(records))
    return header.ljust(0x40, b"\0") + directory + bodies


def flir_jpeg(block: bytes, picture: NDArray[np.uint8], piece: int = 65_000) -> bytes:
    """A radiometric JPEG: the block in pieces of APP1 segments."""
    parts = [block[at : at + piece] for at in range(0, len(block), piece)]
    return jpeg(picture, [(0xE1, b"FLIR\0\x01" + bytes([k, len(parts) - 1]) + part) for k, part in enumerate(parts)])


def dji_jpeg(counts: NDArray[np.uint16], picture: NDArray[np.uint8], marker: int = 0xE3) -> bytes:
    """A DJI JPEG: the maker's name in APP1, counts in segments of one marker, something else beside them."""
    data = counts.astype("<u2").tobytes()
    pieces = [(marker, data[at : at + 65_532]) for at in range(0, len(data), 65_532)]
    other = (0xE4 if marker == 0xE3 else 0xE3, b"\x01" * 99)
    return jpeg(picture, [(0xE1, b"http://ns.adobe.com/xap/1.0/\0 drone-dji:Model=DJI"), other, *pieces])


def irg(celsius: NDArray[np.float32], photo: NDArray[np.uint8]) -> bytes:
    """An InfiRay file of the kind with temperatures in 0.1 K and a JPEG at its end."""
    height, width = celsius.shape
    header = bytearray(128)
    struct.pack_into("<HH", header, 0, 0xABBA, 128)
    struct.pack_into("<IHH", header, 4, height * width, height, width)
    header[-2:] = b"\xac\xca"
    fine = np.rint((celsius + 273.15) * 10).astype("<u2")
    return bytes(header) + np.zeros((height, width), np.uint8).tobytes() + fine.tobytes() + jpeg(photo, [])


def _png(image: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()

"""Every kind of infrared or visible file, how one is made, what is read of it and what is said: rows of docs/inputs.md.

python tests/input_kinds.py > docs/inputs.md
"""

from __future__ import annotations

import io
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image

H, W = 48, 64
CELSIUS = np.linspace(-4.0, 31.5, H * W).reshape(H, W)
COUNTS = np.linspace(14686, 20688, H * W).reshape(H, W).astype(np.uint16)
NOISE = np.random.default_rng(0).integers(0, 255, (H, W, 3), dtype=np.uint8)
RGB = np.stack([np.full((H, W), 90), np.arange(H * W).reshape(H, W) % 97, np.full((H, W), 60)], -1).astype(np.uint8)


class Kind(NamedTuple):
    """One row.

    Attributes:
        name: the kind of file, for people.
        file: name of the example.
        make: gives its bytes.
        side: infrared or visible.
        read: what of it, for people.
        unit: degrees C, counts or grey; of visible files empty.
        said: what the log says, in part; empty: nothing.
    """

    name: str
    file: str
    make: Callable[[ModuleType], bytes]
    side: str
    read: str
    unit: str
    said: str


def _tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def _image(image: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _iron(cameras: ModuleType) -> bytes:
    from ldfusion.io.palette import apply_palette

    return _image(apply_palette((CELSIUS - CELSIUS.min()) / np.ptp(CELSIUS), "iron"))


def _holes() -> np.ndarray:
    values = CELSIUS.astype(np.float32)
    values[4:6, 4:6] = np.nan
    return values


def _dji(marker: int) -> Callable[[ModuleType], bytes]:
    counts = np.linspace(17000, 20000, 192 * 256).reshape(192, 256).astype(np.uint16)
    return lambda cameras: cameras.dji_jpeg(counts, RGB, marker)


def _clear() -> np.ndarray:
    alpha = np.full((H, W), 255, np.uint8)
    alpha[:9] = 0
    return np.dstack([RGB, alpha])


TAKEN = "is taken for temperatures"
KINDS = (
    Kind("FLIR radiometric JPEG", "flir.jpg", lambda c: c.flir_jpeg(c.fff_block(COUNTS), RGB), "infrared",
         "the raw values, by the file's own Planck constants", "degrees C", "degrees C mapped to 0..1"),
    Kind("FLIR radiometric JPEG, thermal image as PNG", "flir-png.jpg",
         lambda c: c.flir_jpeg(c.fff_block(COUNTS, kind="png"), RGB), "infrared",
         "the same, bytes swapped", "degrees C", "degrees C mapped to 0..1"),
    Kind("FLIR JPEG without constants", "flir-bare.jpg",
         lambda c: c.flir_jpeg(c.fff_block(COUNTS, calibrated=False), RGB), "infrared",
         "the raw values", "counts", "raw counts are used, no degrees are given"),
    Kind("FLIR JPEG, thermal data damaged", "flir-cut.jpg", lambda c: c.flir_jpeg(c.fff_block(COUNTS)[:900], RGB),
         "infrared", "the picture", "grey", "its thermal data cannot be read"),
    Kind("DJI JPEG (H20T, M2EA, M3T ...)", "dji.jpg", _dji(0xE3), "infrared", "the raw values of APP3", "counts",
         "mapped to 0..1"),
    Kind("DJI JPEG (XT S)", "xts.jpg", _dji(0xE4), "infrared", "the raw values of APP4", "counts", "mapped to 0..1"),
    Kind("InfiRay .irg (with `ldfusion[thermal]`)", "infiray.irg", lambda c: c.irg(CELSIUS.astype(np.float32), RGB),
         "infrared", "temperatures", "degrees C", "degrees C mapped to 0..1"),
    Kind("16-bit TIFF or PNG, kelvin x 100", "k100.tiff",
         lambda c: _tiff(((CELSIUS + 273.15) * 100).round().astype(np.uint16)), "infrared", "temperatures",
         "degrees C", f"{TAKEN} (kelvin-100)"),
    Kind("16-bit TIFF or PNG, kelvin x 10", "k10.png",
         lambda c: _image(((CELSIUS + 273.15) * 10).round().astype(np.uint16)), "infrared", "temperatures",
         "degrees C", f"{TAKEN} (kelvin-10)"),
    Kind("float TIFF, degrees C", "celsius.tiff", lambda c: _tiff(CELSIUS.astype(np.float32)), "infrared",
         "temperatures", "degrees C", f"{TAKEN} (celsius)"),
    Kind("float TIFF, kelvin", "kelvin.tiff", lambda c: _tiff((CELSIUS + 273.15).astype(np.float32)), "infrared",
         "temperatures", "degrees C", f"{TAKEN} (kelvin)"),
    Kind("float TIFF with NaN pixels", "holes.tiff", lambda c: _tiff(_holes()), "infrared",
         "temperatures, holes filled from their neighbours", "degrees C", "4 pixels without a value (NaN) are filled"),
    Kind("other 16-bit TIFF or PNG", "counts.png", lambda c: _image(COUNTS), "infrared", "the values", "counts",
         "mapped to 0..1 (percentiles 0.5 and 99.5)"),
    Kind("8-bit grey", "grey.png", lambda c: _image(RGB[..., 1]), "infrared", "the values", "grey", ""),
    Kind("8-bit colour in a known palette", "iron.png", _iron, "infrared", "the place of each colour in the palette",
         "grey", "is colour-mapped (palette 'iron')"),
    Kind("8-bit colour in no known palette", "photo.png", lambda c: _image(RGB), "infrared", "its luma", "grey",
         "in no known palette: its luma is used. Is it the visible image?"),
    Kind("TIFF of several pages", "pages.tiff",
         lambda c: _tiff(np.stack([RGB[..., 1]] * 3), photometric="minisblack"), "infrared",
         "the first, or `--page N`", "grey", "has 3 pages: the first is read (--page N for another)"),
    Kind("12 bits in a 16-bit file", "twelve.tiff", lambda c: _tiff(RGB.astype(np.uint16) * 16, photometric="rgb"),
         "visible", "4095 is white", "", "uses 12 of its 16 bits"),
    Kind("transparent PNG", "clear.png", lambda c: _image(_clear()), "visible", "laid on white", "",
         "is transparent in parts; white shows through"),
    Kind("JPEG without its end mark", "unended.jpg", lambda c: _image(RGB, "JPEG")[:-2], "visible", "the picture", "",
         "lacks the end mark of a JPEG file"),
    Kind("WebP", "a.webp", lambda c: _image(RGB, "WEBP", lossless=True), "visible", "the picture", "", ""),
    Kind("grey visible image", "grey.jpg", lambda c: _image(RGB[..., 1], "JPEG"), "visible", "grey, three times", "",
         ""),
)  # fmt: skip
REFUSED = (
    Kind("FLIR .seq, .csq", "a.seq", lambda c: b"FFF\0" + bytes(99), "infrared", "", "",
         "is a FLIR sequence; export its frames as radiometric JPEG or 16-bit TIFF"),
    Kind("GIF", "a.gif", lambda c: _image(RGB[..., 1], "GIF"), "infrared", "", "", "is a GIF; save it as PNG"),
    Kind("half a JPEG", "half.jpg", lambda c: _image(NOISE, "JPEG")[:-900],
         "visible", "", "", "truncated, damaged or of an unusual kind; copy or export it again"),
)  # fmt: skip


def table() -> str:
    """The page ``docs/inputs.md``."""
    lines = [
        "# What is read of which file",
        "",
        "Made by `python tests/input_kinds.py > docs/inputs.md`; each row is a test (`tests/io/test_input_kinds.py`).",
        "Files are told by their content, not their names. `--thermal-unit`, `--range MIN MAX` and `--page N` say for "
        "sure",
        "what is guessed here.",
        "",
        "| file | as | read | unit | said |",
        "|---|---|---|---|---|",
        *(f"| {k.name} | {k.side} | {k.read} | {k.unit or '-'} | {k.said and f'... {k.said} ...'} |" for k in KINDS),
        "",
        "Refused with one line:",
        "",
        "| file | said |",
        "|---|---|",
        *(f"| {k.name} | ... {k.said} ... |" for k in REFUSED),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")

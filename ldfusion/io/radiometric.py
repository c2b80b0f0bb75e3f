"""Infrared files as cameras write them: the one reader of thermal values, with degrees where they can be known.

A thermal camera's JPEG file holds the values beside a coloured picture of them. The values are read; the picture, with
its lettering and its palette, is used only where there is nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io import dji, fff, jpeg
from ldfusion.io.decode import drop_alpha, first_bytes, read_raw
from ldfusion.io.notices import notice
from ldfusion.io.pixels import MAX_PIXELS, MIN_SIDE
from ldfusion.io.thermal import (
    PERCENTILES,
    Limits,
    ThermalOptions,
    fill_holes,
    in_celsius,
    percentile_limits,
    unit_of,
)

_LARGEST_JPEG = 200_000_000  # bytes; larger ones are no thermal camera's
_IRG = ".irg"
_FINE_CAMERAS = (b"Duo Pro R", b"Vue Pro", b"Vue TZ20")  # write 16-bit TIFF in steps of 0.04 K
_SAMPLES = 24  # files that a common gain looks at
_SAMPLE_PIXELS = 40_000


@dataclass(frozen=True, eq=False)
class ThermalImage:
    """One infrared image before any gain.

    Attributes:
        values: (H, W) float32 in degrees C, or the file's own numbers; or (H, W, 3), a colour picture that is neither
            grey nor of a known palette.
        celsius: whether they are degrees C.
        photo: (H', W', 3) uint8 RGB, the visible photo in the same file; None where there is none.
        placement: (3, 3), infrared pixels (x, y, 1) -> photo pixels; None as ``photo``.
    """

    values: NDArray[Any]
    celsius: bool = False
    photo: NDArray[np.uint8] | None = None
    placement: NDArray[np.float64] | None = None


def read_stored(path: str | Path, page: int | None = None) -> tuple[NDArray[Any], bool]:
    """The values of an infrared file, for one that is moved and not looked at.

    Returns:
        The thermal values of a file that holds them beside a picture, see `ThermalImage`; of any other the array of
        `ldfusion.io.decode.read_raw`. And whether they are degrees C, which the file does not hold in any other unit.

    Raises:
        InputError: see `read_thermal`.
    """
    found = _beside(Path(path))
    return (read_raw(path, page=page), False) if found is None else (found.values, found.celsius)


def _beside(path: Path) -> ThermalImage | None:
    """The thermal values beside the picture of a file; None where there are none."""
    head = first_bytes(path)
    if head.startswith(jpeg.START) and path.stat().st_size <= _LARGEST_JPEG:
        return _from_jpeg(path)
    return _from_irg(path) if path.suffix.lower() == _IRG else None


def read_thermal(path: str | Path, options: ThermalOptions | None = None, max_pixels: int = MAX_PIXELS) -> ThermalImage:
    """Read an infrared file of any kind.

    FLIR radiometric JPEG files (and those of DJI's XT and XT2) give degrees, DJI's other ones raw counts, InfiRay's
    ``.irg`` degrees; any other image its values, in degrees where ``options.unit`` says so or `unit_of` is sure.
    NaN pixels are filled.

    Raises:
        InputError: see `ldfusion.io.decode.read_raw`; also a file whose reader is not installed.
    """
    path = Path(path)
    found = _beside(path) or _plain(path, options or ThermalOptions(), max_pixels)
    height, width = found.values.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} thermal pixels; at least {MIN_SIDE} a side are needed")
    if found.values.ndim == 3:
        return found
    return ThermalImage(fill_holes(found.values, str(path)), found.celsius, found.photo, found.placement)


def common_limits(files: Sequence[str | Path], options: ThermalOptions | None = None) -> Limits | None:
    """One percentile gain for a folder, from up to 24 of its files: (low, high), None where they are 8-bit pictures.

    Files that cannot be read are passed over: they are told of when their turn comes.
    """
    chosen = np.linspace(0, len(files) - 1, min(len(files), _SAMPLES)).round().astype(int)
    samples, kinds = [], set()
    for file in (files[index] for index in chosen):
        try:
            image = read_thermal(file, options)
        except InputError:
            continue
        if image.values.dtype == np.uint8:
            return None
        kinds.add(image.celsius)
        values = image.values.ravel()
        samples.append(values[:: max(1, values.size // _SAMPLE_PIXELS)])
    if not samples:
        return None
    if len(kinds) > 1:
        notice("some infrared files are in degrees and others in counts: each has a gain of its own")
        return None
    return percentile_limits(np.concatenate(samples), PERCENTILES)


def _from_jpeg(path: Path) -> ThermalImage | None:
    """The thermal values beside the picture of a JPEG file, None where it holds none."""
    data = path.read_bytes()
    block = fff.find_block(data)
    if block:
        try:
            flir = fff.parse_block(block)
        except ValueError as error:
            notice(f"{path}: its thermal data cannot be read ({error}); the coloured picture in it is used")
            return None
        if flir.calibration is None:
            notice(f"{path}: a FLIR file without calibration: raw counts are used, no degrees are given")
            return ThermalImage(flir.counts, False, flir.photo, flir.placement)
        celsius = flir.calibration.celsius(flir.counts)
        return ThermalImage(celsius, True, flir.photo, flir.placement)
    picture = _jpeg_size(data)
    counts = None if picture is None else dji.find_counts(data, picture)
    if counts is None:
        return None
    notice("DJI thermal files: raw counts are used; how they become degrees is not published, so none are given")
    return ThermalImage(counts)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) by the frame header."""
    for marker, body in jpeg.segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 5:
            return int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return None


def _from_irg(path: Path) -> ThermalImage:
    try:
        import infiray_irg
    except ImportError as error:
        raise InputError(f"{path}: InfiRay files need another package: pip install 'ldfusion[thermal]'") from error
    try:
        _, celsius, photo = infiray_irg.load(path.read_bytes())
        picture = None if photo is None else np.asarray(photo.convert("RGB"))
    except Exception as error:
        raise InputError(f"{path} cannot be decoded ({error}): truncated or damaged; copy it again") from error
    return ThermalImage(np.asarray(celsius, dtype=np.float32), True, picture)


def _plain(path: Path, options: ThermalOptions, max_pixels: int) -> ThermalImage:
    stored = read_raw(path, max_pixels, options.page, holes=True)
    raw = drop_alpha(stored)
    if raw is not stored and stored.shape[-1] != 3:
        clear = stored[..., -1] == 0
        if raw.ndim == 2 and not clear.all():
            raw = fill_holes(raw, str(path), clear)
    if raw.ndim == 3:
        return ThermalImage(raw)
    unit = options.unit
    if unit == "auto":
        unit = "kelvin-25" if _fine_camera(path, raw) else unit_of(raw)
        if unit != "counts":
            notice(f"{path} is taken for temperatures ({unit}); --thermal-unit says it for sure")
    if unit == "counts":
        return ThermalImage(raw)
    return ThermalImage(in_celsius(raw, unit), True)


def _fine_camera(path: Path, raw: NDArray[Any]) -> bool:
    """Whether a 16-bit TIFF tells of a camera that writes steps of 0.04 K."""
    if raw.dtype != np.uint16 or path.suffix.lower() not in (".tif", ".tiff"):
        return False
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        words = b"".join(_bytes(tags.valueof(code, b"")) for code in (272, 700))  # model, XMP
    return any(camera in words for camera in _FINE_CAMERAS)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

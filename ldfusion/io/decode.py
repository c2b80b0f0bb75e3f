"""One image file to one numpy array with the channels and the bit depth it has on disk.

PNG, JPEG, BMP and WebP are decoded by Pillow, TIFF by tifffile. Two gaps are filled: Pillow cuts 16-bit colour down
to 8 bits, so OpenCV decodes that once Pillow has found the file sound; and tifffile alone lacks LZW and JPEG-in-TIFF,
which Pillow reads. The pixel count is checked on the header, before anything is decoded.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ldfusion.errors import InputError
from ldfusion.io import jpeg
from ldfusion.io.notices import notice
from ldfusion.io.pixels import DEEP, MAX_PIXELS, ORIENTATION, bits_of, check_size, decode_cv2, expanded
from ldfusion.io.tiff import decode_tiff

_BEARABLE = 0.01  # share of a picture that a file without its end may lack

# The plugin classes are called directly: Image.open would apply Pillow's own process-wide pixel limit, and would try
# every format it knows (some start other programs).
_PILLOW: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"BM", BmpImageFile),
    (b"RIFF", WebPImageFile),
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FOREIGN = {
    b"FFF\0": "a FLIR sequence; export its frames as radiometric JPEG or 16-bit TIFF with FLIR's own software",
    b"GIF8": "a GIF; save it as PNG",
}
"""What other files begin with, what they are and how they become ones that are read."""


def read_raw(
    path: str | Path, max_pixels: int = MAX_PIXELS, page: int | None = None, holes: bool = False
) -> NDArray[Any]:
    """Read an image as it is stored: no scaling, no colour conversion; turned upright by its EXIF or TIFF orientation.

    Args:
        path: PNG, JPEG, BMP, WebP or TIFF, recognised by content, not by suffix.
        max_pixels: refuse an image whose header claims more (guards against decompression bombs).
        page: of a TIFF of several pages, counted from 1; without it the first is read, and the log says so.
        holes: accept NaN and infinite values in a float image, as NaN.

    Returns:
        ``(H, W)`` for one channel, else ``(H, W, C)`` with C = 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). Usually
        uint8 or uint16; a TIFF may hold other integers or float32 (float64 and float16 become float32). A palette is
        looked up, one-bit images become 0 and 255, CMYK becomes RGB.

    Raises:
        InputError: missing, a folder, empty, no image, truncated, below ``MIN_SIDE`` or above ``max_pixels``, more than
            four channels, no such page, NaN or infinite values.
    """
    path = Path(path)
    head = first_bytes(path)
    plugin = next((plugin for magic, plugin in _PILLOW if head.startswith(magic)), None)
    if plugin is None and not head.startswith(_TIFF):
        foreign = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
        if foreign is not None:
            raise InputError(f"{path} is {foreign}")
        raise InputError(f"{path} is not an image that can be read; give a PNG, JPEG, TIFF, BMP or WebP file")
    if plugin is not None and page not in (None, 1):
        raise InputError(f"{path} has one page, there is no page {page}")
    try:
        raw, orientation = (
            decode_tiff(path, max_pixels, page) if plugin is None else _decode_pillow(path, plugin, max_pixels)
        )
    except InputError:
        raise
    # Decoders raise nearly anything on damaged data: OSError, SyntaxError, ValueError, struct.error, zlib.error ...
    except Exception as error:
        reason = " ".join(str(error).splitlines()) or type(error).__name__
        raise InputError(
            f"{path} cannot be decoded ({reason}): truncated, damaged or of an unusual kind; copy or export it again"
        ) from error
    raw = _upright(raw, orientation)
    if raw.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what overflows becomes infinite and is told below
            raw = raw.astype(np.float32, copy=False)
        finite = np.isfinite(raw)
        broken = raw.size - np.count_nonzero(finite)
        if broken and holes:
            raw = np.where(finite, raw, np.float32(np.nan))
        elif broken:
            raise InputError(f"{path} has {broken} values that are NaN or infinite; fill them before reading")
    return raw


def drop_alpha(raw: NDArray[Any]) -> NDArray[Any]:
    """``(H, W)`` and ``(H, W, 3)`` as they are, ``(H, W, 2)`` -> ``(H, W)``, ``(H, W, 4)`` -> ``(H, W, 3)``; a view."""
    if raw.ndim == 2:
        return raw
    return raw[..., 0] if raw.shape[-1] <= 2 else raw[..., :3]


def first_bytes(path: Path) -> bytes:
    """The first 16 bytes of a file.

    Raises:
        InputError: it is missing, a folder, empty, or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give an image file")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes); copy or export it again")
    return head


def _decode_pillow(path: Path, plugin: type[ImageFile], max_pixels: int) -> tuple[NDArray[Any], int]:
    with plugin(path) as image:
        check_size(path, *image.size, max_pixels)
        sixteen_bit_color = image.mode not in ("1", "I;16") and bits_of(image) == DEEP
        try:
            image.load()
        except OSError:
            if plugin is not JpegImageFile:
                raise
            picture, missing = _unended(path)
            if missing > _BEARABLE:
                raise
            lack = f"its last {missing:.1%} are missing, the rest is" if missing else "its picture is whole and"
            notice(f"{path} lacks the end mark of a JPEG file; {lack} used")
            return expanded(picture), image.getexif().get(ORIENTATION, 1)
        orientation = image.getexif().get(ORIENTATION, 1)
        return (decode_cv2(path) if sixteen_bit_color else expanded(image)), orientation


def _unended(path: Path) -> tuple[Image.Image, float]:
    """The picture of a JPEG file without its end mark, and the share of its pixels that are missing.

    The decoder paints what is missing in grey without a word. But where something is missing, other bytes put in its
    place change the picture, and where nothing is missing they are passed over.
    """
    data = path.read_bytes()
    decoded = []
    for filling in (b"", bytes(value % 251 for value in range(0, 3 * 40_000, 3))):
        with JpegImageFile(io.BytesIO(data + filling + jpeg.END)) as image:
            image.load()
            decoded.append(image.copy())
    missing = np.any(np.atleast_3d(np.asarray(decoded[0]) != np.asarray(decoded[1])), axis=-1)
    return decoded[0], float(missing.mean())


def _upright(array: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Apply an EXIF orientation 1..8 (anything else counts as 1) to ``(H, W, ...)``."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array

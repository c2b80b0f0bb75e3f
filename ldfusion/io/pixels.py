"""What decoders share: limits on the size of a picture, and pictures of Pillow and OpenCV as plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ldfusion.errors import InputError

MAX_PIXELS = 200_000_000
MIN_SIDE = 32
MAX_CHANNELS = 4
ORIENTATION = 274  # tag of EXIF and TIFF
DEEP = 16  # bits per sample


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by what its header says, before anything is decoded.

    Raises:
        InputError: below `MIN_SIDE` a side, or above ``max_pixels``.
    """
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path} is {width}x{height} pixels; at least {MIN_SIDE} a side are needed")
    if width * height > max_pixels:
        raise InputError(
            f"{path} claims {width}x{height} pixels ({width * height / 1e6:.0f} megapixels), "
            f"over the limit of {max_pixels / 1e6:g}; shrink it"
        )


def bits_of(image: ImageFile) -> int:
    """Bits per sample in the file, which the mode of a Pillow image does not tell for 16-bit colour."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(258, (1,)))
    raw_mode = image.tile[0][3] if image.tile else ""
    return DEEP if str(raw_mode).endswith(";16B") else 8


def expanded(image: Image.Image) -> NDArray[Any]:
    """Pillow image to an array (H, W) or (H, W, C) of plain grey, RGB or alpha channels."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "F", "I") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    array = np.asarray(image)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def decode_cv2(path: Path, page: int = 0) -> NDArray[Any]:
    """A file, or a further page of it, as OpenCV reads it: (H, W) or (H, W, C), channels in the order RGB.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    data = np.fromfile(path, dtype=np.uint8)
    array: NDArray[Any] | None
    if page:
        pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(page, page + 1))[1]
        array = pages[0] if pages else None
    else:
        array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ValueError("OpenCV cannot decode it")
    if array.ndim == 2:
        return array
    return cv2.cvtColor(array, cv2.COLOR_BGRA2RGBA if array.shape[-1] == MAX_CHANNELS else cv2.COLOR_BGR2RGB)

"""Tensors and arrays to image files: the one writer of the project."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ldfusion.errors import WorkError
from ldfusion.io.files import atomic_write

_PNG_LEVEL = 4  # zlib level: half the time of the usual 6 for files 8 % larger


def write_png(path: str | Path, image: Tensor, exif: bytes = b"") -> None:
    """Write ``(3, H, W)`` RGB or ``(1, H, W)`` grey in [0, 1] as an 8-bit PNG; rounded and clamped, never stretched.

    Args:
        exif: goes with it (see `ldfusion.io.exif`).

    Raises:
        WorkError: the image holds NaN, or the file cannot be written (then an older file of this name is kept).
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"need an image (3, H, W) or (1, H, W), got {tuple(image.shape)}")
    pixels = np.empty((*image.shape[1:], image.shape[0]), dtype=np.uint8)
    for index, channel in enumerate(image.detach()):
        pixels[..., index] = _quantise(channel, 255, path)
    _save(path, Image.fromarray(pixels if image.shape[0] == 3 else pixels[..., 0]), None, exif)


def write_png16(path: str | Path, image: Tensor | NDArray[Any], text: Mapping[str, str] | None = None) -> None:
    """Write ``(H, W)`` or ``(1, H, W)`` as a 16-bit grey PNG.

    Args:
        image: floats in [0, 1], stored as round(65535 x) after clamping, or uint16 values, stored as they are.
        text: text chunks for the file, such as what the values mean.

    Raises:
        WorkError: as ``write_png``.
    """
    values = image.detach().cpu().numpy() if isinstance(image, Tensor) else image
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 2 or not (values.dtype == np.uint16 or values.dtype.kind == "f"):
        raise ValueError(f"need (H, W) or (1, H, W) of float or uint16, got {values.shape} of {values.dtype}")
    if values.dtype != np.uint16:
        values = _quantise(torch.from_numpy(np.ascontiguousarray(values)), 65535, path).astype(np.uint16)
    _save(path, Image.fromarray(np.ascontiguousarray(values)), text)


def stored_suffix(raw: NDArray[Any]) -> str:
    """``.png`` for an array that a PNG holds as it is (8 or 16 bits; 1, 3 or 4 channels), else ``.tiff``."""
    channels = 1 if raw.ndim == 2 else raw.shape[2]
    return ".png" if raw.dtype in (np.uint8, np.uint16) and channels in (1, 3, 4) else ".tiff"


def write_stored(path: str | Path, raw: NDArray[Any]) -> None:
    """Write an array of `read_raw` with its channels and depth, as PNG or TIFF by the suffix (see `stored_suffix`).

    Raises:
        WorkError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        if Path(path).suffix != ".png":
            tifffile.imwrite(temporary, raw, photometric="rgb" if raw.ndim == 3 and raw.shape[2] > 2 else "minisblack")
            return
        if raw.ndim == 3:  # OpenCV's order is blue, green, red
            raw = cv2.cvtColor(raw, cv2.COLOR_RGB2BGR if raw.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
        encoded = cv2.imencode(".png", raw, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])[1]
        temporary.write_bytes(encoded.tobytes())


def _quantise(channel: Tensor, levels: int, path: str | Path) -> NDArray[Any]:
    # half up: rounding half to even prefers even codes, which an entropy of averaged images shows
    scaled = channel.float().mul(levels).add_(0.5).floor_()
    if bool(scaled.isnan().any()):
        raise WorkError(f"{path} is not written: the image holds NaN values")
    return scaled.clamp_(0, levels).cpu().numpy()


def _save(path: str | Path, image: Image.Image, text: Mapping[str, str] | None, exif: bytes = b"") -> None:
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    # Encoded in memory first, so that a full disk shows as an OSError of one plain write.
    buffer = io.BytesIO()
    more = {"exif": exif} if exif else {}
    image.save(buffer, format="PNG", compress_level=_PNG_LEVEL, pnginfo=info, **more)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())

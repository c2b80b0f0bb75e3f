"""Depth maps as files that say what they hold.

``NAME.npy`` keeps the float32 values, ``NAME.png`` the same map in 16 bits for programs without numpy, with text chunks
that name the quantity, the unit and the scale, and ``NAME_color.png`` is a preview for the eye only.

Relative inverse depth: PNG value = inverse depth * scale, the scale a power of two so that nothing is stretched and 0
stays 0. Metric depth follows ROS REP 118: float32 metres (infinity: too far to measure, NaN: unknown) and 16-bit
millimetres, where 0 stands for no value (also for more than 65.535 m).
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import uuid
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from depth.preview import colorize_depth

QUANTITY = "Depth-Quantity"
SCALE = "Depth-Scale"
NOTE = "Depth-Note"
INVERSE = "relative inverse depth"
METRES = "metric depth"
MILLIMETRES_PER_METRE = 1000
MAX_16_BIT = 65535


def write_whole(path: Path, data: bytes | memoryview) -> None:
    """Write a file under a hidden temporary name beside ``path``, then rename it: it appears whole or not at all.

    Raises:
        OSError: the file cannot be written; it names ``path``, not the temporary one.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _single(values: Tensor) -> np.ndarray:
    """One map ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)`` as a float32 array ``(H, W)``."""
    if values.ndim < 2 or math.prod(values.shape[:-2]) != 1:
        raise ValueError(f"one depth map (H, W) is needed, not a tensor of shape {tuple(values.shape)}")
    return values.detach().float().cpu().reshape(values.shape[-2:]).numpy()


def power_of_two_scale(largest: float) -> float:
    """The largest power of two (2^64 at most) that keeps ``largest`` within 16 bits; 1 for a map of zeros."""
    return 2.0 ** min(64, math.floor(math.log2(MAX_16_BIT / largest))) if largest > 0 else 1.0


def _save_png(path: Path, array: np.ndarray, texts: dict[str, str]) -> None:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    # Encoded in memory: on a full disk the encoders raise errors that do not say so.
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", pnginfo=info)
    write_whole(path, buffer.getbuffer())


def depth_files(name: str, folder: Path = Path()) -> list[Path]:
    """The three files that `write_depth` makes of one map, below ``folder``."""
    return [folder / f"{name}{ending}" for ending in (".png", ".npy", "_color.png")]


def write_depth(folder: str | Path, name: str, inverse: Tensor, metric: bool = False) -> list[Path]:
    """Write one map as ``NAME.npy``, ``NAME.png`` and ``NAME_color.png``; each appears whole or not at all.

    Args:
        folder: made if missing.
        name: file name without suffix.
        inverse: inverse depth ``(1, H, W)`` >= 0.
        metric: the map is 1 / metres; the files then hold metres and millimetres instead of inverse depth.

    Returns:
        The three paths.

    Raises:
        ValueError: not a single map.
        OSError: a file cannot be written.
    """
    values = _single(inverse)
    png, npy, color = depth_files(name, Path(folder))
    if metric:
        with np.errstate(divide="ignore"):
            stored = np.where(values >= 0, 1 / np.abs(values), np.nan).astype(np.float32)
        scale = float(MILLIMETRES_PER_METRE)
        texts = {QUANTITY: METRES, NOTE: "REP 118: millimetres; 0 = unknown or beyond 65.535 m"}
    else:
        stored = values
        scale = power_of_two_scale(float(np.max(values, initial=0.0, where=np.isfinite(values))))
        texts = {
            QUANTITY: INVERSE,
            NOTE: "value = inverse depth * scale, near = large; up to scale and shift, no metres",
        }
    texts[SCALE] = repr(scale)
    integers = stored * np.float32(scale)
    np.nan_to_num(integers, copy=False, nan=0.0, posinf=0.0).round(out=integers)
    integers[integers > MAX_16_BIT] = 0 if metric else MAX_16_BIT

    buffer = io.BytesIO()
    np.save(buffer, stored)
    write_whole(npy, buffer.getbuffer())
    del buffer
    words = integers.astype(np.uint16)
    del integers, stored
    _save_png(png, words, texts)
    del words
    preview = colorize_depth(values)
    _save_png(color, preview, {NOTE: "colour preview of inverse depth, near = bright; stretched, not for measuring"})
    return [npy, png, color]


def read_depth(path: str | Path) -> tuple[Tensor, bool]:
    """A 16-bit PNG of ``write_depth``: the map ``(1, H, W)`` and whether it is metric depth in metres.

    A relative map comes back as inverse depth; a metric one as metres, NaN where the file has no value.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file does not say what it holds.
    """
    with Image.open(path) as image:
        texts = dict(image.info)
        values = torch.from_numpy(np.asarray(image).astype(np.float32))[None]
    if texts.get(QUANTITY) not in (INVERSE, METRES) or SCALE not in texts:
        raise ValueError(f"{path}: no depth PNG of this program, its text does not say which quantity it holds")
    metric = texts[QUANTITY] == METRES
    if metric:
        values = values.masked_fill(values == 0, torch.nan)
    return values / float(texts[SCALE]), metric

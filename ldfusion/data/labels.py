"""Labels that accompany a pair: captions with facts, object masks, depth pseudo-labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from depth.align import standardise
from ldfusion.data.label_sets import IGNORED
from ldfusion.errors import InputError
from ldfusion.io.files import json_lines
from ldfusion.io.size import resize

MASK_CLASSES = ("background", "car", "person", "bike")
"""Names of the label ids of ``object_mask`` files, which are the first of MSRS; true masks go on to 8."""


def read_captions(file: Path) -> dict[str, dict[str, Any]]:
    """Caption records by pair name ``dataset/stem``.

    A record has ``light``, ``scene``, ``objects`` (name, position, distance, visible_in, thermal; nearest first) and
    ``captions`` (list of sentences).

    Raises:
        InputError: missing file, a line that is not JSON, or a record without a needed key.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such caption file (data.captions)")
    records: dict[str, dict[str, Any]] = {}
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    for where, record in json_lines(text, file):
        reason = _unusable(record)
        if reason:
            raise InputError(f"{where}: {reason}")
        records[f"{record['dataset']}/{record['stem']}"] = record
    return records


def _unusable(record: Any) -> str:
    """What is wrong with a caption record; empty when nothing is."""
    if not isinstance(record, dict):
        return "not a JSON object"
    missing = {"dataset", "stem", "light", "objects", "captions"} - record.keys()
    if missing:
        return f"key '{min(missing)}' is missing"
    if not isinstance(record["captions"], list) or not record["captions"]:
        return "'captions' must be a list of at least one sentence"
    for thing in record["objects"]:
        missing = {"name", "position", "distance"} - thing.keys()
        if missing:
            return f"key '{min(missing)}' of an object is missing"
    return ""


def depth_label_path(labels: str | Path, name: str, modality: str) -> Path:
    """Where the teacher's depth of a pair is kept: ``labels/dataset/depth_visible|depth_infrared/stem.npy``."""
    dataset, stem = name.split("/", 1)
    return Path(labels) / dataset / f"depth_{modality}" / f"{stem}.npy"


def read_depth_label(labels: str | Path, name: str, modality: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The teacher's relative inverse depth (h, w) float32, at the resolution it was stored with.

    Raises:
        InputError: no label there (says which command makes it), or a file that is not one.
    """
    file = depth_label_path(labels, name, modality)
    if not file.is_file():
        raise InputError(f"{file}: no depth label; make them with 'python scripts/prepare_data.py depth' (data.labels)")
    try:
        label = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{file}: not a readable .npy file; make it again (data.labels)") from error
    if label.ndim != 2:
        raise InputError(f"{file}: a depth label is (h, w), this one {label.shape}; make it again (data.labels)")
    return label.astype(np.float32)


def read_labels(file: Path) -> Tensor:
    """Class ids (H, W) int64 of a label image, grey or with a palette (then its indices).

    Raises:
        InputError: no such file, not an image, or one with colours (a picture of labels, not their ids).
    """
    if not file.is_file():
        raise InputError(f"{file}: no such label image")
    try:
        with Image.open(file) as image:
            ids = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
        raise InputError(f"{file}: not a readable label image (8 bit, one class id a pixel)") from error
    if ids.ndim == 3:
        colours = ids[..., : 3 if ids.shape[2] > 2 else 1]  # without an alpha channel
        if not (colours == colours[..., :1]).all():
            raise InputError(f"{file}: has colours; a label image holds one class id a pixel, in grey")
        ids = ids[..., 0]
    return torch.from_numpy(ids.astype(np.int64))


def read_mask(file: Path | None, size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Class ids (H, W) of a pair's label image; unknown everywhere without a file.

    Args:
        size: (height, width) of the visible image.

    Raises:
        InputError: a file that is no label image, or one of another size.
    """
    if file is None:
        return np.full(size, IGNORED, np.uint8)
    mask = read_labels(file)
    if tuple(mask.shape) != size:
        raise InputError(
            f"{file}: {mask.shape[1]}x{mask.shape[0]}, its image {size[1]}x{size[0]}; labels have the image's size"
        )
    return mask.numpy().astype(np.uint8)


def teacher_of(visible: Tensor, infrared: Tensor) -> Tensor:
    """What an image that shows both sensors is compared with: the mean of the standardised depth labels of both.

    Args:
        visible: (B, 1, h, w), any scale and shift.
        infrared: the same, any size.

    Returns:
        (B, 1, h, w).
    """
    size = (int(visible.shape[-2]), int(visible.shape[-1]))
    return (standardise(visible) + standardise(resize(infrared, size))) / 2

"""PIL images, arrays and tensors to image tensors and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.io.image import on_white
from ldfusion.io.thermal import is_thermal, thermal_display
from ldfusion.types import ImageInput


def _one(image: ImageInput, channels: int, name: str) -> Tensor:
    """One image as (channels, H, W) float32 in [0, 1]."""
    if isinstance(image, Image.Image):
        image = _pil_array(image, name, channels)
    if isinstance(image, np.ndarray):
        array = image[..., None] if image.ndim == 2 else image
        if array.ndim != 3:
            raise InputError(f"{name}: an array must be (H, W) or (H, W, C), got {image.shape}")
        if channels == 1 and array.shape[2] == 1 and is_thermal(array):
            # the same gain that a thermal file gets when it is read
            array = thermal_display(array[..., 0], name)[..., None]
        tensor = torch.from_numpy(np.ascontiguousarray(_unit_array(array, name).transpose(2, 0, 1)))
    elif isinstance(image, Tensor):
        if channels == 1 and (image.ndim == 2 or image.shape[0] == 1):
            array = image.detach().cpu().numpy() if image.dtype != torch.bfloat16 else image.float().numpy()
            if is_thermal(array):
                image = torch.from_numpy(thermal_display(array.reshape(image.shape[-2:]), name))
        tensor = _unit_tensor(image, name)
        tensor = tensor[None] if tensor.ndim == 2 else tensor
    else:
        raise InputError(f"{name}: give a PIL image, an array or a tensor, not {type(image).__name__}")
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise InputError(
            f"{name}: expected 1, 3 or 4 channels, arrays with the channels last and tensors with the channels first; "
            f"got {'an array' if isinstance(image, np.ndarray) else 'a tensor'} of shape {tuple(image.shape)}"
        )
    tensor = tensor[:3]
    if channels == 3:
        return tensor.expand(3, -1, -1)
    return tensor if tensor.shape[0] == 1 else luma(tensor)


def _pil_array(image: Image.Image, name: str, channels: int) -> np.ndarray[Any, Any]:
    """(H, W) or (H, W, 3); PIL's own conversion would clip everything wider than 8 bits to white."""
    if image.mode == "F" or image.mode.startswith("I"):
        array = np.asarray(image)
        if channels == 1:
            return thermal_display(array, name)
        if image.mode == "I" and array.size and 0 <= array.min() and array.max() <= 65535:
            array = array.astype(np.uint16)  # how some files of 16 bits are opened
        return array
    grey = Image.getmodebase(image.mode) == "L"
    if channels == 3 and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info):
        return on_white(np.asarray(image.convert("RGBA")), name)
    try:
        return np.asarray(image.convert("L" if grey else "RGB"))
    except ValueError as error:
        raise InputError(f"{name}: a PIL image of mode {image.mode} cannot be used; convert it to RGB or L") from error


def _unit_array(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "u" and size <= 2:
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    if kind not in "fb":
        raise InputError(f"{name}: {array.dtype} values cannot be used; give uint8, uint16 or floats in [0, 1]")
    return array.astype(np.float32)


def _unit_tensor(tensor: Tensor, name: str) -> Tensor:
    if tensor.dtype in (torch.uint8, torch.uint16):
        return tensor.float() / torch.iinfo(tensor.dtype).max
    if not tensor.is_floating_point() and tensor.dtype != torch.bool:
        raise InputError(f"{name}: {tensor.dtype} values cannot be used; give uint8, uint16 or floats in [0, 1]")
    return tensor.float()


def to_batch(images: ImageInput | Sequence[ImageInput], channels: int, name: str) -> Tensor:
    """One image, a list of images or a batched tensor or array as (B, channels, H, W) float32 in [0, 1].

    Integers of 8 and 16 bits are divided by the largest value of their type, but 16-bit arrays and tensors (and PIL
    images of modes I and F) for one channel, thermal counts, go through the gain of `ldfusion.io.thermal`, and so do
    floats that are kelvin or degrees C by their range. Grey is repeated to three channels, colour reduced to luma where
    one channel is wanted, alpha dropped; a PIL image with transparency is laid on white.

    Raises:
        InputError: wrong type, shape, range or size, or images of different sizes in one batch.
    """
    items: list[ImageInput]
    if isinstance(images, Tensor | np.ndarray) and images.ndim == 4:
        items = list(images)
    elif isinstance(images, Sequence):
        items = list(images)
    else:
        items = [images]
    if not items:
        raise InputError(f"{name}: no image given")
    tensors = [_one(item, channels, name) for item in items]
    sizes = {tuple(t.shape[-2:]) for t in tensors}
    if len(sizes) > 1:
        raise InputError(f"{name}: the images of one batch differ in size ({sorted(sizes)}); call once for each size")
    height, width = sizes.pop()
    if min(height, width) < 32:
        raise InputError(f"{name}: {width}x{height} is too small; both sides must be at least 32 pixels")
    # a single image, which may be large, is not copied
    batch = tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)
    low, high = batch.aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise InputError(f"{name}: holds values that are not finite (NaN or infinity)")
    if low < -1e-4 or high > 1 + 1e-4:
        raise InputError(f"{name}: float values must lie in [0, 1], got {low:.3g}..{high:.3g}")
    return batch


def from_batch(batch: Tensor, output_type: str) -> Any:
    """(B, C, H, W) as it is (``pt``), as (B, H, W, C) array (``np``), or as PIL images (``pil``)."""
    if output_type == "pt":
        return batch
    array = batch.permute(0, 2, 3, 1).cpu().numpy()
    if output_type == "np":
        return array
    if batch.shape[1] == 3:
        return [Image.fromarray((a * 255).round().clip(0, 255).astype(np.uint8)) for a in array]
    peak = [max(float(a.max()), 1e-12) for a in array]
    return [
        Image.fromarray((a[..., 0] / p * 65535).round().astype(np.uint16)) for a, p in zip(array, peak, strict=True)
    ]

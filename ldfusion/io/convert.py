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
from ldfusion.io.thermal import to_display
from ldfusion.types import ImageInput


def _one(image: ImageInput, channels: int, name: str) -> Tensor:
    """One image as (channels, H, W) float32 in [0, 1]."""
    if isinstance(image, Image.Image) and image.mode.startswith(("I", "F")):
        image = np.asarray(image)
        if channels == 1:
            image = to_display(image, name)[0]
    if isinstance(image, Image.Image):
        image = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8:
            image = image.astype(np.float32) / 255
        elif image.dtype == np.uint16:
            # the same gain that a 16-bit thermal file gets when it is read
            image = to_display(image, name)[0] if channels == 1 else image.astype(np.float32) / 65535
        array = image[..., None] if image.ndim == 2 else image
        if array.ndim != 3:
            raise InputError(f"{name}: an array must be (H, W) or (H, W, C), got {image.shape}")
        image = torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)
    if not isinstance(image, Tensor):
        raise InputError(f"{name}: give a PIL image, an array or a tensor, not {type(image).__name__}")
    tensor = image.float() / 255 if image.dtype == torch.uint8 else image.float()
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise InputError(f"{name}: expected 1, 3 or 4 channels, got shape {tuple(tensor.shape)}")
    tensor = tensor[:3]
    if channels == 3:
        return tensor.expand(3, -1, -1)
    return tensor if tensor.shape[0] == 1 else luma(tensor)


def to_batch(images: ImageInput | Sequence[ImageInput], channels: int, name: str) -> Tensor:
    """One image, a list of images or a batched tensor or array as (B, channels, H, W) float32 in [0, 1].

    Integers are divided by the largest value of their type; grey is repeated to three channels, colour reduced to luma
    where one channel is wanted, alpha dropped.

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
    batch = torch.stack(tensors)
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

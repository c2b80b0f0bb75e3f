"""What every fusion metric does to its inputs before it computes."""

from __future__ import annotations

import torch
from torch import Tensor


def check_luma(fused: Tensor, *sources: Tensor) -> None:
    """Require (B, 1, H, W) luma of one size on the 0..255 scale. Raises ValueError otherwise.

    A source may have the batch size 1: the images of B methods then share it, and what concerns the source alone is
    computed once. The upper end of the scale cannot be verified, since a dark image is also a valid one.
    """
    for image in (fused, *sources):
        if image.ndim != 4 or image.shape[1] != 1:
            raise ValueError(f"a fusion metric takes (B, 1, H, W) luma, got {tuple(image.shape)}")
        if image.shape[1:] != fused.shape[1:] or image.shape[0] not in (1, fused.shape[0]):
            raise ValueError(f"sizes differ: fused {tuple(fused.shape)}, source {tuple(image.shape)}")


def to_codes(image: Tensor) -> Tensor:
    """8-bit grey codes of a 0..255 image: rounded half up, clipped, int64, shape unchanged.

    Half to even would leave every other code of a mean of two 8-bit images nearly empty and change its entropy.
    """
    return (image + 0.5).floor().clamp(0, 255).to(torch.int64)


def undefined(fused: Tensor) -> Tensor:
    """(B,) NaN: what a metric returns for images that are too small for it."""
    return torch.full((fused.shape[0],), torch.nan, dtype=torch.float64, device=fused.device)

"""What crosses the borders of the program: ranges, units and shapes are defined here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

ImageInput = Image.Image | np.ndarray[Any, Any] | Tensor


@dataclass(frozen=True)
class Pair:
    """One visible and one infrared image on the same pixel grid.

    Attributes:
        name: what the pair is called in results and messages.
        visible: RGB (1, 3, H, W) float32 in [0, 1].
        infrared: (1, 1, H, W) float32 in [0, 1].
        visible_is_grey: the visible file has no colour; its one channel is repeated.
        infrared_size: (height, width) of the infrared file before it was resized to the visible image.
    """

    name: str
    visible: Tensor
    infrared: Tensor
    visible_is_grey: bool
    infrared_size: tuple[int, int]


@dataclass
class FusionOutput(BaseOutput):
    """What `LDFusionPipeline` returns for a batch of B pairs of size (H, W), the visible image's.

    With ``output_type="pt"`` maps are tensors as given here, with ``"np"`` arrays with the channels last
    (B, H, W, C), with ``"pil"`` lists of B pictures (fused: RGB; depth: 16-bit grey, scaled to its own range).

    Attributes:
        fused: colour image (B, 3, H, W) in [0, 1].
        depth: relative inverse depth of the fused image (B, 1, H, W), >= 0, near = large, unknown scale and shift.
        depth_visible: the visible image's, by the visible estimator.
        depth_infrared: the infrared image's, by the infrared estimator.
        caption: B sentences: what is where and how far, as the captioner sees it.
        prompt: B sentences that guided the fusion: the given prompt, or the caption.
        facts: B dictionaries of the captioner's beliefs behind the caption.
    """

    fused: Any
    depth: Any
    depth_visible: Any
    depth_infrared: Any
    caption: list[str]
    prompt: list[str]
    facts: list[dict[str, Any]]

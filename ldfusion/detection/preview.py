"""Boxes drawn into a picture, to look at."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from ldfusion.data.boxes import BOX_CLASSES
from ldfusion.detection.base import Detections

COLOURS = ("#ffb000", "#fe6100", "#00c5ff")
"""One a class: car, person, bike; told apart by colour-blind readers as well."""


def draw_boxes(image: Tensor, found: Detections) -> Tensor:
    """The image (3, H, W) in [0, 1] with the boxes, their names and scores, same shape, on the CPU."""
    codes = (image.detach().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
    if not len(found.boxes):
        return codes / 255
    names = [f"{BOX_CLASSES[k]} {score:.2f}" for k, score in zip(found.labels, found.scores, strict=True)]
    drawn: Tensor = draw_bounding_boxes(
        codes,
        found.boxes.cpu(),
        names,
        [COLOURS[k] for k in found.labels.tolist()],
        width=max(1, image.shape[-1] // 250),
    )
    return drawn / 255

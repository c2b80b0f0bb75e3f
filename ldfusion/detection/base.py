"""One interface for every detector: images of any size in, boxes in their own pixels out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms

from depth.estimator import working_shape
from depth.network import STRIDE
from ldfusion.data.boxes import BOX_CLASSES
from ldfusion.detection.network import CELL, CentreDetector
from ldfusion.detection.targets import centres_of_cells
from ldfusion.errors import InputError

MOST = 100
"""Boxes kept an image."""
LEAST_SCORE = 0.02
"""Boxes below it are dropped; average precision wants the unsure ones too."""
OVERLAP = 0.5
"""Boxes of one class that overlap by more are one object."""


@dataclass(frozen=True)
class Detections:
    """Objects of one image, the surest first.

    Attributes:
        boxes: (n, 4) float32, pixel edges x1, y1, x2, y2 inside of the image.
        scores: (n,) in [0, 1].
        labels: (n,) int64, ids of `BOX_CLASSES`.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def above(self, score: float) -> Detections:
        """Those of at least this score."""
        keep = self.scores >= score
        return Detections(self.boxes[keep], self.scores[keep], self.labels[keep])


class Detector(nn.Module, ABC):
    """Finds cars, people and bikes. ``name`` says which detector, for tables."""

    name: str

    @abstractmethod
    def forward(self, images: Tensor) -> list[Detections]:
        """(B, 3, H, W) or (B, 1, H, W) in [0, 1] of any size to B `Detections`."""


class OwnDetector(Detector):
    """`CentreDetector` on images of any size."""

    name = "centre detector"

    def __init__(self, network: CentreDetector) -> None:
        super().__init__()
        if tuple(network.config["classes"]) != BOX_CLASSES:
            raise InputError(f"the detector knows {network.config['classes']}; needed are {list(BOX_CLASSES)}")
        self.network = network.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Detections]:
        """Detections of images (B, 3 or 1, H, W) in [0, 1], boxes in their pixels."""
        height, width = images.shape[-2:]
        shape = working_shape(height, width, self.network.config["working_size"], STRIDE)
        images = images.expand(-1, 3, -1, -1)
        if shape != (height, width):
            images = F.interpolate(images, shape, mode="bilinear", align_corners=False, antialias=True)
        scale = torch.tensor([width / shape[1], height / shape[0]] * 2, device=images.device)
        found = []
        for heat, sides in zip(*self.network(images), strict=True):
            result = decode(heat.float(), sides.float())
            found.append(Detections(result.boxes * scale, result.scores, result.labels))
        return found


def decode(heat: Tensor, sides: Tensor) -> Detections:
    """Boxes of one image from the network's answer: peaks of the heat, then non-maximum suppression.

    Args:
        heat: (classes, h, w) logits.
        sides: (4, h, w) pixels.
    """
    score = heat.sigmoid()
    peak = F.max_pool2d(score[None], 3, stride=1, padding=1)[0] == score
    values, order = (score * peak).flatten().sort(descending=True)
    order = order[: 3 * MOST][values[: 3 * MOST] > LEAST_SCORE]
    height, width = heat.shape[-2:]
    labels, place = order // (height * width), order % (height * width)
    x, y = (axis.expand(height, width).flatten()[place] for axis in centres_of_cells(height, width, heat))
    left, top, right, bottom = sides.flatten(1)[:, place]
    boxes = torch.stack((x - left, y - top, x + right, y + bottom), 1)
    extent = torch.tensor([width, height] * 2, device=heat.device) * float(CELL)
    boxes = torch.minimum(boxes.clamp_min(0), extent)
    scores = values[: len(order)]
    keep = batched_nms(boxes, scores, labels, OVERLAP)[:MOST]
    return Detections(boxes[keep], scores[keep], labels[keep])

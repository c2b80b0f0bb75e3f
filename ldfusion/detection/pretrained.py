"""Detectors with weights of others behind our interface: torchvision's, and those of transformers from the hub."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ldfusion.config import nearest
from ldfusion.data.boxes import BOX_CLASSES, GROUPS
from ldfusion.detection.base import LEAST_SCORE, MOST, Detections, Detector
from ldfusion.errors import InputError


class TorchvisionDetector(Detector):
    """A detection model of torchvision with its COCO weights, e.g. ``fasterrcnn_mobilenet_v3_large_fpn``.

    Args:
        model: its name in torchvision.
        weights: ``DEFAULT`` fetches the published ones; None leaves random ones (to try things out).

    Raises:
        InputError: an unknown model, or weights that cannot be had.
    """

    def __init__(self, model: str, weights: str | None = "DEFAULT") -> None:
        super().__init__()
        from torchvision.models import detection as family
        from torchvision.models import get_model, get_model_weights, list_models

        known = list_models(family)
        if model not in known:
            raise InputError(f"detector: torchvision has no detection model '{model}'; {nearest(model, known)}")
        self.name = f"torchvision {model}"
        entry: Any = get_model_weights(model)["DEFAULT"]
        try:
            self.model: nn.Module = get_model(model, weights=weights, weights_backbone=None).eval()
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"detector: the weights of '{model}' cannot be had ({str(error).splitlines()[0]}); connect to the "
                "network, or leave --detector away for the embedded one"
            ) from error
        self.map = _class_map(dict(enumerate(entry.meta["categories"])))

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Detections]:
        """Detections of images (B, 3 or 1, H, W) in [0, 1], boxes in their pixels."""
        answers = self.model(list(images.expand(-1, 3, -1, -1)))
        return [_select(a["boxes"], a["scores"], a["labels"], self.map) for a in answers]


class HubDetector(Detector):
    """Any `AutoModelForObjectDetection` of transformers (DETR, RT-DETR, YOLOS ...) from a folder or the hub.

    Raises:
        InputError: nothing usable there.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        self.name = source
        try:
            self.model = AutoModelForObjectDetection.from_pretrained(source, use_safetensors=True).eval()
            self.processor = AutoImageProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise InputError(
                f"detector '{source}': neither a folder nor a model that could be had from the hub "
                f"({str(error).splitlines()[0]}); leave --detector away for the embedded one"
            ) from error
        self.map = _class_map({int(key): name for key, name in self.model.config.id2label.items()})

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Detections]:
        """Detections of images (B, 3 or 1, H, W) in [0, 1], boxes in their pixels."""
        device = next(self.model.parameters()).device
        colours = images.expand(-1, 3, -1, -1)
        inputs = self.processor(images=list(colours.cpu()), return_tensors="pt", do_rescale=False).to(device)
        sizes = [(int(images.shape[-2]), int(images.shape[-1]))] * len(images)
        answers = self.processor.post_process_object_detection(
            self.model(**inputs), threshold=LEAST_SCORE, target_sizes=sizes
        )
        return [_select(a["boxes"], a["scores"], a["labels"], self.map) for a in answers]


def _class_map(names: dict[int, str]) -> dict[int, int]:
    """Id of the model -> id of `BOX_CLASSES`, for the names that count.

    Raises:
        InputError: the model knows none of them.
    """
    known = {key: BOX_CLASSES.index(GROUPS[name.lower()]) for key, name in names.items() if name.lower() in GROUPS}
    if not known:
        raise InputError(f"detector: its classes ({', '.join(list(names.values())[:5])} ...) hold no {BOX_CLASSES[0]}")
    return known


def _select(boxes: Tensor, scores: Tensor, labels: Tensor, known: dict[int, int]) -> Detections:
    keep = torch.tensor([int(label) in known for label in labels], dtype=torch.bool, device=labels.device)
    keep &= scores > LEAST_SCORE
    boxes, scores = boxes[keep], scores[keep]
    ours = torch.tensor([known[int(label)] for label in labels[keep]], dtype=torch.int64, device=labels.device)
    order = scores.argsort(descending=True)[:MOST]
    return Detections(boxes[order].float(), scores[order].float(), ours[order])

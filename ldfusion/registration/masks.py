"""Human masks of the two images, the input on which the registration papers succeed.

Inside the program a mask is 1 where there is a human: what a warp pulls in from outside of an image is 0, and then
means that nobody is there. The published weights were trained with the opposite polarity (`published_polarity`).

Visible masks come from a segmenter: torchvision's Mask R-CNN or DeepLabV3 where their weights lie in torch's cache,
else the segmentation network of this package. Infrared masks come from a threshold, since humans are warm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ldfusion.config import nearest
from ldfusion.errors import InputError

Segmenter = Callable[[Tensor], Tensor]
"""Visible image (B, 3, H, W) in [0, 1] -> probability of a human (B, 1, H, W)."""

COCO_PERSON, VOC_PERSON = 1, 15
_TORCHVISION = {
    "maskrcnn": ("maskrcnn_resnet50_fpn_v2", "MaskRCNN_ResNet50_FPN_V2_Weights"),
    "deeplabv3": ("deeplabv3_resnet101", "DeepLabV3_ResNet101_Weights"),
}
SEGMENTERS = (*_TORCHVISION, "own")


def published_polarity(mask: Tensor) -> Tensor:
    """Human = 0, background = 1, as in the published data and weights, of the same shape; its own inverse."""
    return 1 - mask


def otsu_threshold(codes: NDArray[np.uint8]) -> float:
    """Otsu's threshold of 8-bit values of any shape, as a value in [0, 1]; humans are above it."""
    flat = np.ascontiguousarray(codes.reshape(1, -1))
    # half a code more: what was rounded down to the threshold belongs to the ground
    return float(cv2.threshold(flat, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0] + 0.5) / 255


def sequence_threshold(frames: Iterable[Tensor]) -> float:
    """Otsu's threshold of all frames of a sequence together, in [0, 1]: one warm object does not shift a single frame.

    Args:
        frames: infrared images (..., H, W) in [0, 1].

    Raises:
        InputError: no frame.
    """
    histogram = np.zeros(256, np.int64)
    for frame in frames:
        histogram += np.bincount(_codes(frame).ravel(), minlength=256)
    if not histogram.any():
        raise InputError("no infrared frame to find a threshold on")
    # a picture of the same histogram, small enough to be cheap
    share = histogram / histogram.sum()
    return otsu_threshold(np.repeat(np.arange(256, dtype=np.uint8), np.round(share * 1e5).astype(int)))


def infrared_mask(infrared: Tensor, threshold: float | Literal["otsu"] = "otsu") -> Tensor:
    """1 where an infrared image (B, 1, H, W) in [0, 1] is above a threshold, else 0.

    Args:
        threshold: in [0, 1], the papers' 130..180 of 255 for instance; ``otsu`` finds one for each image.
    """
    if threshold == "otsu":
        levels = [otsu_threshold(_codes(image)) for image in infrared]
        limit = torch.tensor(levels, device=infrared.device).view(-1, 1, 1, 1)
    else:
        limit = torch.tensor(float(threshold), device=infrared.device)
    return (infrared > limit).float()


def parse_threshold(text: str) -> float | Literal["otsu", "sequence"]:
    """``otsu``, ``sequence``, or a grey value 0..255 (returned in [0, 1]).

    Raises:
        InputError: anything else.
    """
    if text == "otsu" or text == "sequence":
        return "otsu" if text == "otsu" else "sequence"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 255:
        raise InputError(f"infrared threshold '{text}': give otsu, sequence, or a grey value 0..255")
    return value / 255


class MaskSource:
    """Makes the human masks of both images of a pair.

    Args:
        segmenter: of visible images; the best one that is there if None, looked for when first needed.
        threshold: of infrared images, in [0, 1] or ``otsu``.
        level: probability from which a visible pixel counts as human.
    """

    def __init__(
        self,
        segmenter: Segmenter | None = None,
        threshold: float | Literal["otsu"] = "otsu",
        level: float = 0.5,
    ) -> None:
        self._segmenter = segmenter
        self.threshold, self.level = threshold, level

    def visible(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 1, H, W), 0 or 1."""
        if self._segmenter is None:
            self._segmenter = load_segmenter()
        with torch.no_grad():
            return (self._segmenter(image) >= self.level).float()

    def infrared(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] -> (B, 1, H, W), 0 or 1."""
        return infrared_mask(image, self.threshold)


def load_segmenter(name: str = "auto", weights: str | Path = "") -> Segmenter:
    """A segmenter of visible images by name.

    Args:
        name: ``maskrcnn``, ``deeplabv3``, ``own``, or ``auto``: the first of them whose weights are there.
        weights: folder of ``own`` (default: the embedded network).

    Raises:
        InputError: unknown name, or weights that are not there; nothing is downloaded.
    """
    if name == "auto":
        found = [kind for kind in _TORCHVISION if _cached_weights(kind).is_file()]
        return load_segmenter(found[0] if found else "own", weights)
    if name not in SEGMENTERS:
        raise InputError(f"segmenter: unknown '{name}'; {nearest(name, SEGMENTERS)}")
    if name == "own":
        return _own_segmenter(weights)
    file = _cached_weights(name)
    if not file.is_file():
        raise InputError(f"{file}: the weights of '{name}' are not there; put them there, or choose 'own'")
    return TorchvisionSegmenter(name)


def _weights_entry(name: str) -> tuple[str, object]:
    from torchvision.models import detection, segmentation

    builder, entry = _TORCHVISION[name]
    module = detection if name == "maskrcnn" else segmentation
    return builder, getattr(module, entry).DEFAULT


def _cached_weights(name: str) -> Path:
    """Where torch keeps the file of these torchvision weights."""
    _, entry = _weights_entry(name)
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(str(entry.url)).name  # type: ignore[attr-defined]


class TorchvisionSegmenter:
    """Persons by torchvision's Mask R-CNN (COCO class 1) or DeepLabV3 (VOC class 15).

    Args:
        name: ``maskrcnn`` or ``deeplabv3``.
        network: a network of that kind; None loads torchvision's default weights from torch's cache.
        score: least confidence of a Mask R-CNN instance.
    """

    def __init__(self, name: str, network: nn.Module | None = None, score: float = 0.5) -> None:
        from torchvision.models import detection, segmentation

        if network is None:
            builder, entry = _weights_entry(name)
            module = detection if name == "maskrcnn" else segmentation
            network = getattr(module, builder)(weights=entry)
        self.name, self.score = name, score
        self.network = network.eval()

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """See `Segmenter`."""
        if self.name == "maskrcnn":
            return torch.stack([self._instances(one, image) for one in self.network(list(image))])
        mean = torch.tensor([0.485, 0.456, 0.406], device=image.device).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225], device=image.device).view(3, 1, 1)
        scores: Tensor = self.network((image - mean) / std)["out"]
        return scores.softmax(1)[:, VOC_PERSON : VOC_PERSON + 1]

    def _instances(self, found: dict[str, Tensor], image: Tensor) -> Tensor:
        persons = (found["labels"] == COCO_PERSON) & (found["scores"] >= self.score)
        if not persons.any():
            return torch.zeros(1, *image.shape[-2:], device=image.device)
        return found["masks"][persons].amax(0)


def _own_segmenter(weights: str | Path) -> Segmenter:
    from ldfusion.segmentation.network import load_segmenter as load_own

    network = load_own(weights)
    if "person" not in network.classes.names:
        raise InputError(f"segmenter 'own': these weights know {', '.join(network.classes.names)}, but no 'person'")
    person = network.classes.names.index("person")
    return lambda image: network.probabilities(image)[:, person : person + 1]


def _codes(image: Tensor) -> NDArray[np.uint8]:
    codes: NDArray[np.uint8] = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return codes

"""A detector by the name of its source."""

from __future__ import annotations

from pathlib import Path

from ldfusion.detection.base import Detector, OwnDetector
from ldfusion.detection.network import CentreDetector
from ldfusion.detection.pretrained import HubDetector, TorchvisionDetector
from ldfusion.weights import load


def load_detector(source: str | Path | None = None) -> Detector:
    """The embedded detector (None), one of our own from its folder, or ``torchvision:NAME`` / ``hub:ID``.

    Raises:
        InputError: nothing usable there; the line says what is missing and how to get the default.
    """
    text = "" if source is None else str(source)
    kind, _, rest = text.partition(":")
    if rest and kind in ("torchvision", "hub"):
        return TorchvisionDetector(rest) if kind == "torchvision" else HubDetector(rest)
    return OwnDetector(load(CentreDetector, "detector", text))

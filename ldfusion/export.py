"""What ``ldfusion export`` writes: each method or network as a function of images, and the facts its file carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from depth.estimator import STRIDE, load_estimator
from ldfusion.config import check_keys, nearest
from ldfusion.errors import InputError
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.onnx_student import PAIR, RANGES, PictureNetwork
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.io.color import luma, with_luma
from ldfusion.onnx.model import OPSET, write_model
from ldfusion.weights import component_folder, digest

LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Target:
    """One thing that can be exported.

    Attributes:
        network: (B, C, H, W) images in, images out, in evaluation mode.
        inputs: an example of each input by name.
        output: name of the output.
        about: facts for the file.
        multiple: height and width must be multiples of this.
    """

    network: nn.Module
    inputs: Mapping[str, Tensor]
    output: str
    about: Mapping[str, str]
    multiple: int = 1


class LumaFusion(nn.Module):
    """A network of luma and infrared as one of colour and infrared."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """(B, 3, H, W) and (B, 1, H, W) in [0, 1] -> (B, 3, H, W) in [0, 1]."""
        return with_luma(visible, self.network(luma(visible), infrared))


def _student(size: str) -> Callable[..., Target]:
    def make(weights: str = "", prompt: str | None = None, tone: str = "natural") -> Target:
        method = RealtimeFusion(weights, size, prompt, tone)
        about = {**RANGES, "method": method.name, "weights": digest(method.folder)}
        about |= {key: str(value) for key, value in method.options.items()}
        return Target(PictureNetwork(method).eval(), PAIR, "fused", about)

    return make


def _seafusion(weights: str = "") -> Target:
    network: Any = load_method("seafusion", weights=weights)
    about = {**RANGES, "method": "seafusion", "weights": digest(component_folder("seafusion", weights))}
    return Target(LumaFusion(network.network).eval(), PAIR, "fused", about)


def _depth(modality: str) -> Callable[..., Target]:
    def make(weights: str = "") -> Target:
        folder = component_folder(f"depth_{modality}", weights)
        try:
            estimator = load_estimator(folder)
        except (FileNotFoundError, ValueError) as error:
            raise InputError(str(error)) from error
        if not isinstance(network := getattr(estimator, "network", None), nn.Module):
            raise InputError(f"{folder}: only our own depth networks are exported; give the folder of one")
        channels = {3: "RGB", 1: "one channel"}[estimator.channels]
        about = {
            "inputs": f"image: {channels}, float32 (batch, {estimator.channels}, height, width) in [0, 1], "
            f"shrunk to a short side of about {estimator.short_side} pixels, sides multiples of {STRIDE}",
            "output": "inverse depth: float32 (batch, 1, height, width), 0 or more, near is large",
            "unit": "relative: 1 / distance up to a scale and a shift that are unknown",
            "licence": LICENCE,
            "method": f"depth-{modality}",
            "weights": digest(folder),
        }
        example = {"image": torch.zeros(2, estimator.channels, 2 * STRIDE, 3 * STRIDE)}
        return Target(network.eval(), example, "inverse_depth", about, STRIDE)

    return make


TARGETS: dict[str, Callable[..., Target]] = {
    "realtime": _student("base"),
    "realtime-tiny": _student("tiny"),
    "seafusion": _seafusion,
    "depth-visible": _depth("visible"),
    "depth-infrared": _depth("infrared"),
}
"""What can be exported. The pipeline itself cannot: its sentence is written by a captioner, word by word."""
OPTIONS = {"realtime": ("weights", "prompt", "tone"), "realtime-tiny": ("weights", "prompt", "tone")}
"""What a target can be told; the others take ``weights`` alone."""


def load_target(name: str, **options: Any) -> Target:
    """The target of that name.

    Args:
        options: what it is told; None stays at the default.

    Raises:
        InputError: no such target, an option that it does not have, or weights that are not there.
    """
    if name not in TARGETS:
        why = "; its steps are separate networks, one of which writes a sentence" if name == "ldfusion" else ""
        raise InputError(f"export: '{name}' cannot be exported{why}; {nearest(name, TARGETS)}")
    given = {key: value for key, value in options.items() if value is not None}
    check_keys(given, OPTIONS.get(name, ("weights",)), f"export '{name}'")
    return TARGETS[name](**given)


def export(name: str, path: Path, opset: int = OPSET, **options: Any) -> Target:
    """Write a target as an ONNX file; see `ldfusion.onnx.model.write_model` for what the file holds and can raise."""
    target = load_target(name, **options)
    about = {"unit": "grey levels of 1", **target.about}
    write_model(target.network, target.inputs, [target.output], path, about, opset, target.multiple)
    return target

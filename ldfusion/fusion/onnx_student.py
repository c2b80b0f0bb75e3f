"""The student by ONNX Runtime: its file is made once for each set of weights, sentence and tone, and kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ldfusion.errors import InputError
from ldfusion.fusion.base import ImageMethod
from ldfusion.fusion.decoder import histograms
from ldfusion.fusion.guidance import VideoFrames
from ldfusion.fusion.realtime import halve, shrink
from ldfusion.fusion.steady import SteadyFrames
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.io.notices import notice
from ldfusion.onnx.model import write_model
from ldfusion.onnx.session import OnnxModel

PAIR = {"visible": torch.zeros(2, 3, 64, 96), "infrared": torch.zeros(2, 1, 64, 96)}
"""Example inputs of a file that fuses."""
RANGES = {
    "inputs": "visible: RGB, infrared: one channel, float32 (batch, channels, height, width) in [0, 1], of one size",
    "output": "fused: RGB, float32 (batch, 3, height, width) in [0, 1], 1 is white",
    "licence": "Apache-2.0",
}


class PictureNetwork(nn.Module):
    """The student as one function of two images, with its sentence and its tone inside."""

    text: Tensor | None
    tone: Tensor

    def __init__(self, method: RealtimeFusion) -> None:
        super().__init__()
        self.network = method.network
        self.register_buffer("text", method.text)
        self.register_buffer("tone", method.tone)

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """(B, 3, H, W) and (B, 1, H, W) in [0, 1] -> (B, 3, H, W) in [0, 1]."""
        text = None if self.text is None else self.text.expand(visible.shape[0], -1)
        fused: Tensor = self.network(visible, infrared, text, self.tone)[0]
        return fused.clamp(0, 1)


class OnnxFusion(ImageMethod):
    """An exported network that fuses.

    Args:
        path: a file of ``ldfusion export`` with the inputs ``visible`` and ``infrared``.
        name: of the method; by default what the file says.
        options: what it was told, for the record of a result.

    Raises:
        InputError: no such file, or one of another kind.
    """

    def __init__(self, path: Path, name: str = "", options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.model = OnnxModel(path, torch.get_num_threads())
        if self.model.inputs != list(PAIR):
            found, wanted = (", ".join(names) for names in (self.model.inputs, PAIR))
            raise InputError(f"{path}: its inputs are {found}; those of a network that fuses are {wanted}")
        self.name = name or self.model.about.get("method", path.stem)
        self.options = {**(options or {}), "runtime": "onnx"}

    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        found = self.model.run(visible.contiguous().cpu().numpy(), infrared.contiguous().cpu().numpy())[0]
        return torch.from_numpy(found).to(visible.device)

    def frames(self) -> VideoFrames:
        """Frames of one video."""
        return _OnnxFrames(self)


class _OnnxFrames(VideoFrames):
    """As `ldfusion.fusion.student.RealtimeFrames`, but for the coefficients, which do not leave the file."""

    def __init__(self, method: OnnxFusion) -> None:
        self.method, self.steady = method, SteadyFrames()

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor, time: float) -> Tensor:
        """See `VideoFrames`."""
        self.steady.at(time)
        small = [shrink(halve(x), (32, 32)) for x in (visible, infrared)]
        self.steady.token(histograms(torch.cat(small, dim=1) * 2 - 1))  # tells a cut
        return self.steady.picture(self.method.fuse(visible, infrared), visible, infrared)


def write_student(method: RealtimeFusion, path: Path, opset: int) -> PictureNetwork:
    """Write the student as an ONNX file.

    Returns:
        The network that is in the file.

    Raises:
        InputError: see `write_model`.
    """
    network = PictureNetwork(method).eval()
    about = {**RANGES, "method": method.name, **{key: str(value) for key, value in method.options.items()}}
    write_model(network, PAIR, ["fused"], path, about, opset)
    return network


def cached_model(method: RealtimeFusion) -> Path:
    """The file of a student in the user's cache folder, made if it is not there, which takes some seconds."""
    from ldfusion.onnx.model import OPSET
    from ldfusion.weights import digest

    asked = f"{digest(method.folder)} {sorted(method.options.items())} {OPSET} {torch.__version__}"
    name = hashlib.sha256(asked.encode()).hexdigest()[:16]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = root / "ldfusion" / f"{method.name}-{name}.onnx"
    if not path.is_file():
        notice(f"writing {path}, once for these weights")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_student(method, path, OPSET)
    return path

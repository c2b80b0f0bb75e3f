"""The student by name: which size of it, and what runs it."""

from __future__ import annotations

from pathlib import Path

from ldfusion.errors import InputError
from ldfusion.fusion.guidance import SteadyMethod
from ldfusion.fusion.onnx_student import OnnxFusion, cached_model
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.fusion.tone import Tone

RUNTIMES = ("torch", "onnx")


def load_realtime(
    weights: str = "",
    prompt: str | None = None,
    tone: Tone = "natural",
    runtime: str = "torch",
    size: str = "base",
) -> SteadyMethod:
    """The student, by PyTorch or by ONNX Runtime.

    Args:
        weights: folder of a trained network, or with ``runtime="onnx"`` also a file of ``ldfusion export``.
        prompt, tone, size: see `RealtimeFusion`.
        runtime: one of `RUNTIMES`.

    Raises:
        InputError: an unknown runtime, ONNX Runtime is not installed, or what `RealtimeFusion` raises.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"runtime: unknown '{runtime}'; known: {', '.join(RUNTIMES)}")
    if runtime == "torch":
        return RealtimeFusion(weights, size, prompt, tone)
    if Path(weights).suffix == ".onnx":
        if prompt is not None or tone != "natural":
            raise InputError(f"{weights}: sentence and tone are fixed in a file; give them to ldfusion export")
        return OnnxFusion(Path(weights))
    method = RealtimeFusion(weights, size, prompt, tone)
    return OnnxFusion(cached_model(method), method.name, method.options)


def load_tiny(
    weights: str = "", prompt: str | None = None, tone: Tone = "natural", runtime: str = "torch"
) -> SteadyMethod:
    """The student with a smaller working copy; see `load_realtime`."""
    return load_realtime(weights, prompt, tone, runtime, "tiny")

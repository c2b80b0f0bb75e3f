"""Tone of the fused image: two controls that the decoder has learned to follow, at no cost.

In training both sources are developed by a tone curve before they are compared with the fused image, which teaches the
decoder to make, of the undeveloped pair, the picture that it would make of the developed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from ldfusion.config import nearest
from ldfusion.errors import InputError

Tone: TypeAlias = str | Sequence[float]
"""A name of `TONES`, or the two controls."""
CONTROLS = 2
"""Contrast and brightness, each in [-1, 1], 0 is natural."""
TONES: dict[str, tuple[float, float]] = {"natural": (0.0, 0.0), "contrast": (1.0, 0.0), "bright": (0.0, 1.0)}
GAIN = 1.8
"""Slope of the curve in its middle at full contrast."""
GAMMA = 1.5
"""Exponent that full brightness divides by."""


def tone_controls(tone: Tone) -> Tensor:
    """Controls (1, CONTROLS) of a tone.

    Args:
        tone: a key of `TONES`, or (contrast, brightness), each in [-1, 1].

    Raises:
        InputError: an unknown name, or numbers that are none of these.
    """
    if isinstance(tone, str):
        if tone not in TONES:
            raise InputError(f"tone: unknown '{tone}'; {nearest(tone, TONES)}")
        return torch.tensor([TONES[tone]])
    try:
        values = [float(value) for value in tone]
    except (TypeError, ValueError):
        values = []
    if len(values) != CONTROLS or not all(-1 <= value <= 1 for value in values):
        raise InputError(f"tone: {tone!r}: give {', '.join(TONES)}, or contrast and brightness, each from -1 to 1")
    return torch.tensor([values])


def develop(grey: Tensor, tone: Tensor) -> Tensor:
    """Grey values under the tone curve, x^(GAMMA^-b) and then a sigmoid of slope GAIN^c about the picture's mean.

    Args:
        grey: (B, 1, H, W) in [0, 1].
        tone: (B, CONTROLS) in [-1, 1].

    Returns:
        (B, 1, H, W) in [0, 1]; unchanged where the controls are 0.
    """
    contrast, brightness = (tone[:, k, None, None, None] for k in range(CONTROLS))
    lit = grey.clamp(1e-4, 1) ** (GAMMA**-brightness)
    mean = lit.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + GAIN**contrast * (lit - mean)).clamp(0, 1)

"""Pictures of labels for people: the image under the colours of its classes, and the legend."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ldfusion.data.label_sets import IGNORED, LabelSet

LIFT = 1.6
"""Palettes of label images are dark: over a picture their hues are this much brighter."""


def overlay(image: Tensor, labels: Tensor, classes: LabelSet, opacity: float = 0.55) -> Tensor:
    """The image with its classes in colour; class 0, the background, and ignored pixels stay as they are.

    Args:
        image: (B, 3, H, W) or (B, 1, H, W) in [0, 1].
        labels: class ids (B, H, W).
        classes: names and colours.
        opacity: of the colours, 0..1.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    image = image.expand(-1, 3, -1, -1)
    colour = (classes.paint(labels) * LIFT).clamp(0, 1)
    shown = ((labels > 0) & (labels != IGNORED))[:, None]
    return torch.where(shown, torch.lerp(image, colour, opacity), image)


def legend(classes: LabelSet) -> Image.Image:
    """A list of the classes as a picture: colour over an image, id and name."""
    font = ImageFont.load_default(18)
    row, swatch, margin = 30, 34, 10
    lines = [f"{k}  {name}" for k, name in enumerate(classes.names)]
    width = margin * 3 + swatch + int(max(font.getlength(line) for line in lines))
    sheet = Image.new("RGB", (width, row * len(lines) + 2 * margin), "#ffffff")
    draw = ImageDraw.Draw(sheet)
    for k, (line, colour) in enumerate(zip(lines, classes.colours, strict=True)):
        top = margin + k * row
        red, green, blue = (min(255, round(LIFT * c)) for c in colour)
        bright = (red, green, blue)
        draw.rectangle((margin, top + 4, margin + swatch, top + row - 6), fill=bright, outline="#59636e")
        draw.text((2 * margin + swatch, top + row // 2), line, "#1f2328", font, anchor="lm")
    return sheet

"""Pictures for people: a panel of the images of a pair with the caption below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ldfusion.io.size import resize

Picture = Image.Image | Tensor | NDArray[np.uint8]

_CELL = 640  # longest side of one image in a panel [px]
_SMALLEST = 320  # smaller images are enlarged to this width, so that the labels stay readable [px]
_PAPER, _INK, _SOFT_INK, _CELL_GROUND = "#ffffff", "#1f2328", "#59636e", "#eaeef2"


def panel(images: Sequence[Picture], labels: Sequence[str], caption: str = "") -> Image.Image:
    """Images side by side under their labels, with a caption wrapped over the full width below.

    All images get one cell of the first one's aspect, at most 640 px on its longer side; an image of another aspect is
    shown whole, on a light ground.

    Args:
        images: PIL images, tensors ``(3 or 1, H, W)`` in [0, 1], or uint8 arrays ``(H, W, 3)`` or ``(H, W)``.
        labels: one for each image.
        caption: text below; empty leaves the space away.

    Raises:
        ValueError: not as many labels as images.
    """
    if not images or len(images) != len(labels):
        raise ValueError(f"need as many labels as images and at least one, got {len(images)} and {len(labels)}")
    # one by one, so that a single large image is converted at a time
    cell = _cell_size(*_size(images[0]))
    pictures = [_fit(image, cell) for image in images]
    gap = max(8, cell[0] // 40)
    label_font = ImageFont.load_default(max(14, cell[0] // 17))
    caption_font = ImageFont.load_default(max(15, cell[0] // 15))
    # Four images fill a web page at a third of their size, so the letters are large.
    label_height = line_height(label_font)
    width = len(pictures) * (cell[0] + gap) + gap
    lines = _wrap(caption, caption_font, width - 2 * gap)
    step = line_height(caption_font)
    height = label_height + gap + cell[1] + gap + (len(lines) * step + gap if lines else 0)

    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = gap + index * (cell[0] + gap), gap // 2 + label_height
        draw.text((left, top - label_height // 4), label, _SOFT_INK, label_font, anchor="ls")
        draw.rectangle((left, top, left + cell[0] - 1, top + cell[1] - 1), _CELL_GROUND)
        sheet.paste(picture, (left + (cell[0] - picture.width) // 2, top + (cell[1] - picture.height) // 2))
    for index, line in enumerate(lines):
        baseline = label_height + gap + cell[1] + gap + round((index + 0.75) * step)
        draw.text((gap, baseline), line, _INK, caption_font, anchor="ls")
    return sheet


def shrunk(image: Tensor) -> Tensor:
    """``(..., C, H, W)`` at a size that is as good for a panel: twice its cell, or as it came if smaller."""
    width, height = _cell_size(*_size(image))
    return _resized(image, (2 * height, 2 * width)) if 2 * max(height, width) < max(image.shape[-2:]) else image


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    return resize(image[None] if image.ndim == 3 else image, size).view(*image.shape[:-2], *size)


def to_pil(image: Picture) -> Image.Image:
    """Any of the kinds of `panel` as an 8-bit RGB image."""
    if isinstance(image, Tensor):
        # channel by channel: a float copy of a 24-megapixel picture would take 288 MB
        channels = [c.float().mul(255).round_().clamp_(0, 255).to(torch.uint8) for c in image.detach().cpu()]
        image = torch.stack(channels, dim=-1).squeeze(-1).numpy()
    return (image if isinstance(image, Image.Image) else Image.fromarray(np.ascontiguousarray(image))).convert("RGB")


def _size(image: Picture) -> tuple[int, int]:
    if isinstance(image, Image.Image):
        return image.size
    height, width = image.shape[-2:] if isinstance(image, Tensor) else image.shape[:2]
    return int(width), int(height)


def _cell_size(width: int, height: int) -> tuple[int, int]:
    scale = min(_CELL / max(width, height), max(1.0, _SMALLEST / width))
    return max(round(width * scale), _SMALLEST // 2), max(round(height * scale), 32)


def _fit(picture: Picture, cell: tuple[int, int]) -> Image.Image:
    width, height = _size(picture)
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if isinstance(picture, Tensor) and scale < 1 / 2:
        # twice the size is as good; 24 megapixels as a PIL image would take 0.1 GB more
        picture = _resized(picture, (2 * size[1], 2 * size[0]))
    image = to_pil(picture)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def line_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    """Pixels from one line of text to the next."""
    top, bottom = font.getbbox("Ag")[1::2]
    return round(1.45 * (bottom - top))


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Break at spaces by measured width; a single word wider than the line is broken within."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        while font.getlength(word) > width:
            fitting = max(1, int(len(word) * width / font.getlength(word)) - 1)
            lines.append(word[:fitting])
            word = word[fitting:]
        lines.append(word)
    return lines

"""A scale of degrees beside an infrared picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ldfusion.io.palette import apply_palette
from ldfusion.io.preview import Picture, to_pil
from ldfusion.io.thermal import Limits

_MARKS = 5


def with_scale(picture: Picture, limits: Limits, palette: str = "") -> Image.Image:
    """A picture with a bar at its right edge: what temperature is shown how.

    Args:
        picture: of any kind that `panel` takes.
        limits: degrees C at its black and white (or cold and hot) end.
        palette: name of its colours; empty for grey.
    """
    image = to_pil(picture).copy()
    width, height = image.size
    font = ImageFont.load_default(max(10, height // 24))
    bar = max(4, width // 40)
    margin = max(3, height // 30)
    ramp = np.linspace(1, 0, max(2, height - 2 * margin), dtype=np.float32)[:, None].repeat(bar, 1)
    strip = apply_palette(ramp, palette) if palette else np.repeat((ramp * 255).astype(np.uint8)[..., None], 3, 2)
    left = width - margin - bar
    draw = ImageDraw.Draw(image)
    draw.rectangle((left - 1, margin - 1, left + bar, height - margin), outline="white", fill="black")
    image.paste(Image.fromarray(strip), (left, margin))
    for part in np.linspace(0, 1, _MARKS):
        degrees = limits[1] + (limits[0] - limits[1]) * part
        text = f"{degrees:.1f}" if limits[1] - limits[0] < 20 else f"{degrees:.0f}"
        if part in (0, 1):
            text += " °C"
        position = (left - 4, margin + part * (len(ramp) - 1))
        anchor = {0: "rt", 1: "rb"}.get(part, "rm")
        draw.text(position, text, "white", font, anchor=anchor, stroke_width=1, stroke_fill="black")
    return image

"""A picture of curves, for instance of losses over training steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

Curve = Sequence[tuple[float, float]]
"""Points (x, y) in order of x."""

COLOURS = ("#0b6bcb", "#d1590b", "#1a7f37", "#8250df", "#cf222e", "#57606a")
_PAPER, _INK, _SOFT, _RULE = "#ffffff", "#1f2328", "#59636e", "#d8dee4"
_PANEL, _LEFT, _BOTTOM, _TOP, _RIGHT = (640, 440), 78, 62, 68, 24


def line_charts(panels: Mapping[str, Mapping[str, Curve]], x_label: str, y_label: str) -> Image.Image:
    """Curves in panels side by side, all with the same axes; the panel's name stands above it.

    Args:
        panels: title -> name of a curve -> its points; at least one point in all.
        x_label: below each panel.
        y_label: beside the first panel.

    Raises:
        ValueError: no point that is finite.
    """
    points = [p for curves in panels.values() for curve in curves.values() for p in curve if all(map(math.isfinite, p))]
    if not points:
        raise ValueError("no curve with a point to draw")
    xs, ys = (
        ticks(min(x for x, _ in points), max(x for x, _ in points)),
        ticks(min(y for _, y in points), max(y for _, y in points)),
    )
    width, height = _PANEL
    sheet = Image.new("RGB", (width * len(panels), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, (title, curves) in enumerate(panels.items()):
        _panel(draw, column * width, title, curves, xs, ys, (x_label, y_label if column == 0 else ""))
    return sheet


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) whose first is at or below ``low``, the last at or above."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / about))
    step = next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, max(last, first + 1) + 1)]


def _panel(
    draw: ImageDraw.ImageDraw,
    left: int,
    title: str,
    curves: Mapping[str, Curve],
    xs: Sequence[float],
    ys: Sequence[float],
    labels: tuple[str, str],
) -> None:
    font, bold = ImageFont.load_default(14), ImageFont.load_default(18)
    width, height = _PANEL
    x0, x1, y0, y1 = left + _LEFT, left + width - _RIGHT, height - _BOTTOM, _TOP

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            x0 + (x - xs[0]) / (xs[-1] - xs[0]) * (x1 - x0),
            y0 + (y - ys[0]) / (ys[-1] - ys[0]) * (y1 - y0),
        )

    draw.text((x0, 14), title, _INK, bold)
    for y in ys:
        draw.line([place(xs[0], y), place(xs[-1], y)], _RULE)
        draw.text((x0 - 8, place(xs[0], y)[1]), f"{y:g}", _SOFT, font, anchor="rm")
    for x in xs:
        draw.text((place(x, ys[0])[0], y0 + 8), f"{x:g}", _SOFT, font, anchor="ma")
    draw.line([(x0, y0), (x1, y0)], _SOFT)
    draw.text(((x0 + x1) / 2, height - 26), labels[0], _SOFT, font, anchor="ma")
    if labels[1]:
        draw.text((left + 16, y1 - 26), labels[1], _SOFT, font)
    for index, curve in enumerate(curves.values()):
        colour = COLOURS[index % len(COLOURS)]
        shown = [place(*p) for p in curve if all(map(math.isfinite, p))]
        if len(shown) > 1:
            draw.line(shown, colour, 3, joint="curve")
        elif shown:
            draw.ellipse([shown[0][0] - 4, shown[0][1] - 4, shown[0][0] + 4, shown[0][1] + 4], colour)
    end = float(x1)
    for index in reversed(range(len(curves))):  # above the curves, so that it hides none
        name = list(curves)[index]
        start = end - draw.textlength(name, font)
        draw.text((start, 25), name, _INK, font, anchor="lm")
        draw.line([(start - 30, 25), (start - 8, 25)], COLOURS[index % len(COLOURS)], 3)
        end = start - 48

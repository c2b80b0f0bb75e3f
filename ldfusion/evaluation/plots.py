"""Line and dot plots as SVG text, for pages without scripts or other files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#555555")
"""Told apart by colour-blind readers as well (Okabe and Ito, 2008; the last two replace yellow and black)."""
DASHES = ("", "6 3", "2 3", "8 3 2 3")
WIDTH, HEIGHT = 360, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 12, 26, 38


@dataclass(frozen=True)
class Series:
    """One method's points, and a text for each that shows when it is pointed at."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


def colour(index: int) -> str:
    """Colour of the method of that number."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Dashes of the method of that number: another kind each time the colours start anew."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``wanted`` of them; a span of nothing gets its one value."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= 0.9 * raw)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def cumulative(values: Sequence[float]) -> list[tuple[float, float]]:
    """(share of images, value): that share of the images has at most that value."""
    ordered = sorted(values)
    return [((rank + 1) / len(ordered), value) for rank, value in enumerate(ordered)]


def line_plot(title: str, series: Sequence[Series], x_label: str, y_label: str) -> str:
    """Lines through the points of each series."""
    frame = _Frame(series, title, x_label, y_label)
    for index, one in enumerate(series):
        path = " ".join(f"{'L' if k else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}" for k, (x, y) in enumerate(one.points))
        style = f' stroke-dasharray="{dash(index)}"' if dash(index) else ""
        if len(one.points) == 1:
            frame.add(_dot(frame, one, index, 0, 3))
        frame.add(
            f'<path d="{path}" fill="none" stroke="{colour(index)}" stroke-width="1.8"{style}>'
            f"<title>{escape(one.name)}</title></path>"
        )
    return frame.svg()


def dot_plot(title: str, series: Sequence[Series], x_label: str, y_label: str) -> str:
    """A dot a point; pointing at one shows its label."""
    frame = _Frame(series, title, x_label, y_label)
    for index, one in enumerate(series):
        frame.add("".join(_dot(frame, one, index, k, 2.4) for k in range(len(one.points))))
    return frame.svg()


def _dot(frame: _Frame, series: Series, index: int, place: int, radius: float) -> str:
    x, y = series.points[place]
    text = f"{series.name}: {series.labels[place]}" if place < len(series.labels) else series.name
    return (
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="{radius}" fill="{colour(index)}" fill-opacity="0.75">'
        f"<title>{escape(text)}</title></circle>"
    )


class _Frame:
    """Axes that hold all points, and what is drawn inside of them."""

    def __init__(self, series: Sequence[Series], title: str, x_label: str, y_label: str) -> None:
        points = [point for one in series for point in one.points] or [(0.0, 0.0)]
        self._x = _span([x for x, _ in points])
        self._y = _span([y for _, y in points])
        self._parts: list[str] = []
        self._labels = (title, x_label, y_label)

    def x(self, value: float) -> float:
        """Pixel of a value along the horizontal axis."""
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Pixel of a value along the vertical axis."""
        low, high = self._y
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    def add(self, part: str) -> None:
        """Draw on top of what is there."""
        self._parts.append(part)

    def svg(self) -> str:
        """The whole picture."""
        title, x_label, y_label = (escape(text) for text in self._labels)
        right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        grid = []
        for value in ticks(*self._y):
            y = self.y(value)
            grid.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
            grid.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_number(value)}</text>')
        for value in ticks(*self._x):
            x = self.x(value)
            grid.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
            grid.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{_number(value)}</text>')
        middle = (_TOP + bottom) / 2
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img" aria-label="{title}" font-family="sans-serif" font-size="10" fill="currentColor">'
            f"<style>.grid{{stroke:#8886;stroke-width:.6;fill:none}}</style>{''.join(grid)}"
            f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor"/>'
            f'<text x="{_LEFT}" y="15" font-size="12" font-weight="bold">{title}</text>'
            f'<text x="{(_LEFT + right) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{x_label}</text>'
            f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{y_label}</text>'
            f"{''.join(self._parts)}</svg>"
        )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest value with a little room, never the same."""
    low, high = min(values), max(values)
    room = 0.03 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _number(value: float) -> str:
    return f"{value:.4g}"

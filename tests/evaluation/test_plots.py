from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from ldfusion.evaluation.plots import COLOURS, Series, colour, cumulative, dash, dot_plot, line_plot, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (6.13, 7.42, [6.25, 6.5, 6.75, 7.0, 7.25]),
        (-40, 3000, [0, 1000, 2000, 3000]),
        (5, 5, [5]),
    ],
)
def test_round_numbers_on_an_axis(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_share_of_images_below_a_value() -> None:
    assert cumulative([3.0, 1.0, 2.0, 2.0]) == [(0.25, 1.0), (0.5, 2.0), (0.75, 2.0), (1.0, 3.0)]
    assert cumulative([]) == []


def test_a_curve_is_drawn_to_scale() -> None:
    svg = ET.fromstring(line_plot("EN", [Series("ours", [(0.5, 6.0), (1.0, 8.0)])], "share", "EN"))
    path = next(p for p in svg.iter(f"{SVG}path") if p.get("stroke") == COLOURS[0])
    (x0, y0), (x1, y1) = ([float(v) for v in pair] for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", path.get("d")))
    labels = {t.text: t for t in svg.iter(f"{SVG}text")}
    assert x0 < x1 and y0 > y1  # greater values are higher up
    at_seven = float(labels["7"].get("y")) - 3.5
    assert at_seven == pytest.approx((y0 + y1) / 2, abs=0.6)
    assert path.find(f"{SVG}title").text == "ours"


def test_dots_say_what_they_are_and_names_are_escaped() -> None:
    svg = ET.fromstring(dot_plot("a < b", [Series("x&y", [(1, 2.0)], ["pair <1>"])], "image", "v"))
    circle = next(svg.iter(f"{SVG}circle"))
    assert circle.find(f"{SVG}title").text == "x&y: pair <1>"
    assert svg.get("aria-label") == "a < b"


def test_many_methods_stay_apart_and_equal_values_have_an_axis() -> None:
    styles = {(colour(k), dash(k)) for k in range(20)}
    assert len(styles) == 20
    svg = ET.fromstring(line_plot("flat", [Series("a", [(0.5, 3.0), (1.0, 3.0)]), Series("none", [])], "x", "y"))
    numbers = [float(v) for p in svg.iter(f"{SVG}path") for v in re.findall(r"[\d.]+", p.get("d"))]
    assert all(0 <= number <= 400 for number in numbers)

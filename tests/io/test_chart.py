from __future__ import annotations

import numpy as np
import pytest

from ldfusion.io.chart import COLOURS, line_charts, ticks


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def where(picture: np.ndarray, colour: str) -> np.ndarray:
    return np.argwhere((picture == rgb(colour)).all(-1))


def test_ticks_are_round_and_hold_the_range() -> None:
    assert ticks(0.0, 1.0) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 97) == [0, 20, 40, 60, 80, 100]
    assert ticks(0.13, 0.17) == [0.13, 0.14, 0.15, 0.16, 0.17]
    for low, high in ((2.0, 2.0), (0.0, 0.0), (-3.0, -3.0)):
        found = ticks(low, high)
        assert found[0] <= low and found[-1] >= high and found[0] < found[-1]


def test_a_falling_curve_falls_and_a_flat_one_is_flat() -> None:
    falling = [(float(k), 1.0 - k / 10) for k in range(11)]
    flat = [(float(k), 0.5) for k in range(11)]
    picture = np.asarray(line_charts({"one": {"falling": falling, "flat": flat}, "two": {"flat": flat}}, "x", "y"))
    assert picture.shape == (440, 1280, 3)
    first = where(picture[:, :640], COLOURS[0])
    first = first[first[:, 1] < 400]  # without the legend
    top, bottom = first[first[:, 1].argmin()], first[first[:, 1].argmax()]
    assert bottom[0] - top[0] > 150
    second = where(picture[:, 640:], COLOURS[0])
    assert np.ptp(second[second[:, 1] < 400][:, 0]) <= 4
    assert len(where(picture[:, 640:], COLOURS[1])) == 0


def test_points_that_are_not_finite_are_passed_over() -> None:
    nan = float("nan")
    line_charts({"one": {"a": [(0.0, 1.0), (1.0, nan), (2.0, 3.0)], "b": [(0.0, 2.0)], "c": []}}, "x", "y")
    with pytest.raises(ValueError, match="no curve"):
        line_charts({"one": {"a": [(0.0, nan)]}}, "x", "y")

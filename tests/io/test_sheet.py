from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.io.sheet import CELL, contact_sheet


def test_pictures_stand_in_rows_under_the_names_of_their_columns() -> None:
    red = torch.zeros(3, 96, 128)
    red[0] = 1
    rows = [
        ("day/first", [red, torch.full((1, 48, 64), 0.5)]),
        ("night/a much longer name", [Image.new("RGB", (640, 160), "blue"), None]),
    ]
    pixels = np.asarray(contact_sheet(["visible", "a method"], rows)).astype(int)

    def place(colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of the area of one colour."""
        y, x = np.nonzero((pixels == colour).all(-1))
        assert len(y) == (np.ptp(y) + 1) * (np.ptp(x) + 1)  # a whole rectangle
        return int(y.min()), int(x.min()), int(np.ptp(y)) + 1, int(np.ptp(x)) + 1

    first, second, third, empty = (place(c) for c in ((255, 0, 0), (128, 128, 128), (0, 0, 255), (234, 238, 242)))
    assert first[2:] == second[2:] == (240, CELL)  # of the same height, whatever the size of the second one was
    assert third[2:] == empty[2:] == (80, CELL)
    assert first[0] == second[0] and third[0] == empty[0] > first[0] + 240
    assert first[1] == third[1] and second[1] == empty[1] > first[1] + CELL
    dark = pixels.max(-1) < 150
    assert dark[: first[0], first[1] : second[1]].any() and dark[: first[0], second[1] :].any()
    beside = dark[:, : first[1] - 1]
    assert beside[first[0] : third[0]].any() and beside[third[0] :].any() and not beside[: first[0]].any()


def test_a_long_heading_gets_smaller_letters() -> None:
    image = torch.full((1, 24, 32), 0.5)

    def top(name: str) -> int:
        """Where the picture begins below the line of names."""
        grey = (np.asarray(contact_sheet([name], [("r", [image])])) == 128).all(-1)
        return int(np.nonzero(grey.any(1))[0][0])

    assert top("the long name of a method that needs letters of a small size") < top("name")


def test_what_is_no_sheet() -> None:
    image = torch.zeros(1, 8, 8)
    for columns, rows in (([], [("r", [])]), (["a"], [])):
        with pytest.raises(ValueError, match="needs a row and a column"):
            contact_sheet(columns, rows)
    for pictures in ([image], [None, None]):
        with pytest.raises(ValueError, match="row 'r' has"):
            contact_sheet(["a", "b"], [("r", pictures)])

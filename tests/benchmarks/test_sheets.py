from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.benchmarks import sheets
from ldfusion.benchmarks.base import validation_pairs
from ldfusion.benchmarks.sheets import PAIRS_A_SHEET, SHOWN, shown_pairs, window, write_sheets
from ldfusion.errors import InputError
from ldfusion.io.image import read_infrared, write_png
from ldfusion.io.sheet import CELL


def test_the_default_pairs_are_validation_pairs_by_day_and_night(repository: Path) -> None:
    names = (repository / "docs" / "val.txt").read_text().split()
    assert len(SHOWN) == 12 and set(SHOWN) <= set(names)
    assert [sum(name.startswith(data_set) for name in SHOWN) for data_set in ("roadscene", "msrs")] == [6, 6]
    assert {name[-1] for name in SHOWN if name.startswith("msrs")} == {"D", "N"}
    assert all(0 <= share <= 1 for centre in SHOWN.values() for share in centre)


def test_which_pairs_are_shown(two_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown_pairs(two_sets) == validation_pairs(two_sets)  # none of the default ones is there
    monkeypatch.setattr(sheets, "SHOWN", {"msrs/2D": (0, 0), "roadscene/FLIR_2": (0, 0), "msrs/9D": (0, 0)})
    assert [pair.name for pair in shown_pairs(two_sets)] == ["msrs/2D", "roadscene/FLIR_2"]
    assert [pair.name for pair in shown_pairs(two_sets, ["msrs/1N", "FLIR_1"])] == ["msrs/1N", "roadscene/FLIR_1"]
    for name in ("1N", "msrs/3N"):
        with pytest.raises(InputError, match=f"--pairs: no pair '{name}'"):
            shown_pairs(two_sets, [name])


def test_a_crop_stays_inside_of_the_image() -> None:
    assert window((480, 640)) == (slice(120, 360), slice(160, 480))
    assert window((480, 640), (1, 0)) == (slice(0, 240), slice(320, 640))
    assert window((480, 640), (0.5, 0.75)) == (slice(240, 480), slice(160, 480))
    assert window((200, 300), (0.9, 0.9)) == (slice(0, 200), slice(0, 300))


def test_sheets_of_six_pairs(two_sets: Path, tmp_path: Path) -> None:
    pairs = (validation_pairs(two_sets) * 2)[: PAIRS_A_SHEET + 1]
    write_png(tmp_path / "small.png", torch.tensor([1.0, 0, 0]).view(3, 1, 1).expand(3, 33, 44))
    (tmp_path / "broken.png").write_bytes(b"")
    rows = {"a method": {"msrs/1D": tmp_path / "small.png", "msrs/2D": tmp_path / "broken.png"}, "none": {}}
    written = write_sheets(pairs, rows, tmp_path / "out" / "sheet.png")
    assert [file.name for file in written] == ["sheet-1.png", "sheet-2.png"]
    first, second = (np.asarray(Image.open(file)) for file in written)
    assert min(first.shape[1], second.shape[1]) > 4 * CELL
    assert first.shape[0] > 6 * 240 > 2 * 240 > second.shape[0] > 240
    red = (first == (255, 0, 0)).all(-1)
    assert red.sum() == CELL * 240  # of the pair's size, in one row
    alone = write_sheets(pairs[:1], rows, tmp_path / "one.png")
    assert alone == [tmp_path / "one.png"] and Image.open(alone[0]).height == second.shape[0]
    assert write_sheets(pairs[:1], rows, tmp_path / "one.png", numbered=True) == [tmp_path / "one-1.png"]


def test_the_same_crop_for_all_columns(two_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pair,) = shown_pairs(two_sets, ["msrs/1D"])
    monkeypatch.setattr(sheets, "WINDOW", (12, 16))
    monkeypatch.setattr(sheets, "SHOWN", {pair.name: (1.0, 0.5)})
    infrared = read_infrared(pair.infrared)
    write_png(tmp_path / "copy.png", infrared.expand(3, -1, -1))
    (file,) = write_sheets([pair], {"copy": {pair.name: tmp_path / "copy.png"}}, tmp_path / "crop.png", crop=True)
    pixels = np.asarray(Image.open(file)).astype(int)
    cells = [pixels[-6 - 240 : -6, -k * (CELL + 6) : -k * (CELL + 6) + CELL] for k in (2, 1)]
    assert np.abs(cells[0] - cells[1]).max() <= 1
    part = (infrared[0, 18:30, 48:64] * 255).numpy()
    shown = cells[0][10::20, 10::20, 0]  # the middle of each enlarged pixel
    assert np.abs(shown - part).mean() < 30 < np.abs(shown - part[::-1]).mean()

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ldfusion.evaluation.table import _text


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@SUM(A1)", "\ta"])
def test_a_name_is_no_formula(name: str, tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerow([_text(name), _text("plain-name")])
    assert next(csv.reader((tmp_path / "a.csv").open())) == [f"'{name}", "plain-name"]

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

from ldfusion.cli import main
from ldfusion.evaluation.html_report import metric_sections, rank_images
from ldfusion.evaluation.page import Cell, marks, page, table
from ldfusion.evaluation.table import EvaluationTable, MethodScores
from ldfusion.io.image import write_png

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Every tag is closed in order, and nothing refers to another file or runs a script."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "iframe", "object"}
        for name, value in attrs:
            if name in {"src", "href"}:
                assert value is not None and value.startswith("data:")
            assert not name.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def check(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert not checker.open
    return checker


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b", "c&d", "e"):
        visible, infrared = torch.rand(3, 60, 72, generator=generator), torch.rand(1, 60, 72, generator=generator)
        write_png(tmp_path / "visible" / f"{name}.png", visible)
        write_png(tmp_path / "infrared" / f"{name}.png", infrared)
        write_png(tmp_path / "mean" / f"{name}.png", (visible + infrared) / 2)
        write_png(tmp_path / "max" / f"{name}.png", torch.maximum(visible, infrared))
        if name != "e":
            write_png(tmp_path / "dark" / f"{name}.png", visible / 9)
    return tmp_path


def test_one_page_of_several_methods(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--visible", str(folders / "visible"), "--infrared", str(folders / "infrared")]
    words += [
        "--fused",
        f"my mean={folders / 'mean'}",
        "--fused",
        str(folders / "max"),
        "--fused",
        f"x={folders / 'dark'}",
    ]
    assert main([*words, "--metrics", "EN,VIF,MS-SSIM,Qcv", "--html", str(folders / "out" / "report.html")]) == 1
    out, err = capsys.readouterr()
    assert "no fused image for e" in err and len(err.splitlines()) == 1
    assert [line.split()[0] for line in out.splitlines()[-3:]] == ["my", "max", "x"]
    text = (folders / "out" / "report.html").read_text(encoding="utf-8")
    checker = check(text)
    assert checker.headings == ["Metrics", "Cumulative curves", "Image by image", "Best and worst pairs"]
    assert "nan" not in re.sub(r"base64,[^\"]+", "", text).lower().replace("financ", "")
    assert "MS-SSIM of x, a, b, c&amp;d: needs 161 pixels a side" in text
    assert text.count("<svg xmlns") == 2 * 3  # curves and dots of EN, VIF and Qcv; MS-SSIM has no value
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    assert len(pictures) == 3 * 4 - 1  # of three images the middle one is not shown twice
    picture = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert picture.width == 1080 and len(set(picture.convert("L").getdata())) > 100
    numbers = json.loads((folders / "out" / "report.json").read_text())["methods"]
    assert list(numbers) == ["my mean", "max", "x"] and numbers["x"]["images"] == 3
    rows = list(csv.DictReader((folders / "out" / "report.csv").open()))
    assert len(rows) == 11 and rows[0]["MS-SSIM"] == ""
    assert float(rows[0]["EN"]) == pytest.approx(numbers["my mean"]["per_image"]["a"]["EN"])


def scores(**rows: tuple[float, float]) -> MethodScores:
    found = MethodScores()
    for name, (en, qcv) in rows.items():
        found.add(name, {"EN": en, "Qcv": qcv})
    return found


def test_best_and_second_best_are_marked_where_they_compare() -> None:
    methods = {"a": scores(p=(7, 100), q=(7, 100)), "b": scores(p=(6, 50), q=(6, 50)), "part": scores(p=(8, 1))}
    text = "".join(metric_sections(EvaluationTable(("EN", "Qcv"), methods)))
    assert '<td>a</td><td>2</td><td class="best">7.000</td><td class="second">100.0</td>' in text
    assert '<td>b</td><td>2</td><td class="second">6.000</td><td class="best">50.0</td>' in text
    assert "<td>part</td><td>1 of 2</td><td>8.000</td><td>1.0</td>" in text
    assert "EN ↑" in text and "Qcv ↓" in text


def test_marks_of_a_column() -> None:
    assert marks([1.0, 3.0, 3.0, 2.0, None], True) == ["", "best", "best", "second", ""]
    assert marks([1.0, 3.0], False) == ["best", "second"]
    assert marks([1.0, None], True) == marks([2.0, 2.0], True) == ["", ""]


def test_images_are_ranked_over_all_metrics() -> None:
    table_ = EvaluationTable(("EN", "Qcv"), {"m": scores(good=(8, 1), bad=(5, 9), mixed=(6, 5))})
    assert [name for name, _ in rank_images(table_, "m")] == ["good", "mixed", "bad"]
    assert rank_images(table_, "m")[0][1] == 1


def test_text_is_escaped() -> None:
    text = page("<t>", [table(["a<b", "c"], [["<x>", Cell("&", "best")]])])
    check(text)
    assert "<x>" not in text and '<td class="best">&amp;</td>' in text

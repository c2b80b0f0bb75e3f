from __future__ import annotations

import json
import math
from pathlib import Path

from ldfusion.evaluation import report
from ldfusion.evaluation.table import EvaluationTable, MethodScores


def table() -> EvaluationTable:
    ours, other = MethodScores(), MethodScores()
    ours.add("a", {"EN": 7.0, "SF": 12.5, "CC": math.nan})
    ours.add("longer", {"EN": 6.0, "SF": 10.0, "CC": 0.5})
    other.add("a", {"EN": 5.0, "SF": 9.0, "CC": math.nan})
    return EvaluationTable(("EN", "SF", "CC"), {"ours": ours, "other": other}, ["pair b: no fused image"])


def test_means_leave_undefined_values_out() -> None:
    ours = table().methods["ours"]
    assert (ours.mean("EN"), ours.mean("CC"), table().methods["other"].mean("CC")) == (6.5, 0.5, None)


def test_plain_table_is_aligned() -> None:
    assert report.plain(report.method_cells(table())).splitlines() == [
        "method  images     EN     SF     CC",
        "ours         2  6.500  11.25  0.500",
        "other        1  5.000   9.00    n/a",
    ]


def test_markdown_of_one_method_lists_images_and_mean() -> None:
    assert report.markdown(report.image_cells(table(), "ours")).splitlines() == [
        "| image | EN | SF | CC |",
        "| --- | ---: | ---: | ---: |",
        "| a | 7.000 | 12.50 | n/a |",
        "| longer | 6.000 | 10.00 | 0.500 |",
        "| mean | 6.500 | 11.25 | 0.500 |",
    ]


def test_rendered_report_states_the_convention() -> None:
    text = report.render(table(), per_image=True)
    assert text.startswith("Convention: plain definitions, 0-255 scale, BT.601 luma, 8-bit")
    assert "longer" in text and "nan" not in text.lower()
    assert "longer" not in report.render(table())


def test_json_has_null_for_undefined(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    table().write_json(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["convention"].startswith("plain definitions")
    assert content["methods"]["ours"]["per_image"]["a"]["CC"] is None
    assert content["methods"]["ours"]["undefined"] == {"EN": 0, "SF": 0, "CC": 1}
    assert content["methods"]["other"] == {
        "images": 1,
        "mean": {"EN": 5.0, "SF": 9.0, "CC": None},
        "undefined": {"EN": 0, "SF": 0, "CC": 1},
        "reasons": {"CC": {"a": "undefined for this image"}},
        "per_image": {"a": {"EN": 5.0, "SF": 9.0, "CC": None}},
    }
    assert content["problems"] == ["pair b: no fused image"]

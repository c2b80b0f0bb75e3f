"""The commands ``fusion`` and ``sheet`` as a user launches them, on a tiny data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ldfusion.benchmarks import images, main
from ldfusion.benchmarks.video import VideoRow, flicker_table
from ldfusion.evaluation.stability import Stability
from ldfusion.evaluation.tasks.scores import TaskScores, TaskTable
from ldfusion.io.image import write_png

CHEAP = ["--methods", "mean", "maximum", "maximum-stretched"]


def test_the_rows_by_default() -> None:
    assert images.ROWS == (
        "mean",
        "maximum",
        "maximum-stretched",
        "laplacian",
        "zero-learning",
        "seafusion",
        "ldfusion",
    )


def test_three_tables_a_file_and_a_sheet(two_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stem in ("1D", "msrs_2D"):
        write_png(tmp_path / "theirs" / f"{stem}.png", torch.rand(1, 48, 64))
    words = ["fusion", "--data", str(two_sets), *CHEAP, "--fused", f"published={tmp_path / 'theirs'}"]
    assert main([*words, "-o", str(tmp_path / "out"), "--save", str(tmp_path / "images")]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("###")] == [
        "### all, 4 pairs",
        "### roadscene, 2 pairs",
        "### msrs, 2 pairs",
    ]
    heading = "| method | images | EN | MI | VIF | SF | SD | Qabf | SCD | CC | Nabf | colour | clipped | rank |"
    assert out.count(heading) == 3
    assert f"{tmp_path / 'theirs'}: no fused image for roadscene/FLIR_1, roadscene/FLIR_2" in out
    assert "n/a: colour of published, msrs/1D, msrs/2D: the fused or the visible image is grey" in out
    lines = [line.split(" | ") for line in out.splitlines() if line.startswith("| published")]
    assert [line[1] for line in lines] == ["2", "0", "2"]
    assert [line[-1] for line in lines[:2]] == ["n/a |"] * 2 and float(lines[2][-1].rstrip(" |")) >= 1
    assert (tmp_path / "out" / "table.md").read_text() == out
    panel = json.loads((tmp_path / "out" / "table.json").read_text())["panel"]
    assert list(panel) == ["all", "roadscene", "msrs"]
    stretched, plain = panel["all"]["maximum-stretched"], panel["all"]["maximum"]
    assert stretched["SD"] > 1.2 * plain["SD"] and plain["clipped"] == 0
    names = ["msrs_1D.png", "msrs_2D.png", "roadscene_FLIR_1.png", "roadscene_FLIR_2.png"]
    assert sorted(file.name for file in (tmp_path / "images" / "maximum").iterdir()) == names
    with Image.open(tmp_path / "out" / "sheet-1.png") as sheet:
        assert sheet.width > 6 * 320 and sheet.height > 4 * 240

    changed = tmp_path / "images" / "mean" / "msrs_1D.png"
    write_png(changed, torch.zeros(3, 48, 64))
    assert main([*words, "--save", str(tmp_path / "images"), "--metrics", "en, SD"]) == 0
    second = capsys.readouterr().out
    assert "| method | images | EN | SD | rank |" in second
    assert second.count("| mean | 2 |") == 2 and out.count("| mean | 2 |") == 2
    assert main([*words[:3], "--methods", "--fused", f"a={tmp_path / 'theirs'}"]) == 0
    assert "rank" not in capsys.readouterr().out


def test_columns_of_other_tables_join(two_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        "mean": TaskScores({"mIoU": 41.237, "AP": None, "IoU bump": 3.0}, {"AP": "no boxes"}),
        "other": TaskScores(),
    }
    TaskTable(rows, "one network for all").write_json(tmp_path / "tasks.json")
    flicker = flicker_table([row(0.25), row(0.05)], 2.0)
    flicker.write_json(tmp_path / "video.json")
    files = [str(tmp_path / name) for name in ("tasks.json", "video.json")]
    words = ["fusion", "--data", str(two_sets), *CHEAP, "--metrics", "EN", "--join"]
    assert main([*words, *files]) == 0
    out = capsys.readouterr().out
    assert "Joined: one network for all.\nJoined: flicker, mean of the first 2 s of clip." in out
    tables = [line.split(" | ") for line in out.splitlines() if line.startswith("| m")]
    assert tables[0][2:] == ["EN", "mIoU", "AP", "flicker", "rank |"]
    assert tables[1][3:6] == ["41.24", "n/a", "n/a"] and tables[2][0] == "| maximum" and tables[2][5] == "0.15"
    assert tables[4][2:] == ["EN", "rank |"]  # the data sets apart have no columns of others
    (tmp_path / "tasks.json").write_text("[1]")
    assert main([*words, files[0]]) == 2
    assert "tasks.json: no table of tasks; give" in capsys.readouterr().err


def row(flicker: float) -> VideoRow:
    stability = Stability(1.0 + flicker, 1.0, 0.5, 20)
    edges = (0.5, 0.5)
    return VideoRow("clip", "maximum", 20, 44.0, 1.0, 2.0, 3, 5.0, 0.2, stability, edges, 900.0)


def test_a_sheet_of_chosen_pairs(two_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sheet", "--data", str(two_sets), "--methods", "maximum", "-o", str(tmp_path / "sheet.png")]
    assert main([*words, "--pairs", "1D", "msrs/1N", "--crop"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'sheet.png'}\n"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 4 * 320 > sheet.width > 3 * 320 and sheet.height > 2 * 240


def test_mistakes_are_one_line(two_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fusion, sheet = ["fusion", "--data", str(two_sets), *CHEAP], ["sheet", "--data", str(two_sets), *CHEAP, "-o"]
    (tmp_path / "file").write_text("")
    cases = [
        ([*fusion, "--metrics", "EN,color"], "unknown metric 'color'"),
        ([*fusion, "--fused", f"mean={tmp_path}"], "two rows are called 'mean'"),
        ([*fusion, "--fused", str(tmp_path / "none")], "no such file or folder"),
        ([*fusion, "-o", str(tmp_path / "file")], "is a file; give a folder"),
        ([*sheet, str(tmp_path)], "give a PNG file"),
        ([*sheet, str(tmp_path / "sheet.jpg")], "give a PNG file"),
        ([*sheet, str(tmp_path / "sheet.png"), "--pairs", "7D"], "--pairs: no pair '7D'"),
    ]
    for words, line in cases:
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.startswith("benchmark: ") and error.count("\n") == 1 and line in error, error

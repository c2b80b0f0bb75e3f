from __future__ import annotations

import json
from pathlib import Path

import pytest

from ldfusion.benchmarks.method_speed import MethodTime, as_dict, main, measure, read_rows, table, with_memory
from ldfusion.benchmarks.quality_time import COLUMNS, mean_places, plot, read_published, read_quality
from ldfusion.errors import InputError


def row(method: str, speedup: float, size: str = "640x480") -> MethodTime:
    return MethodTime(method, size, 0.1 / speedup, 0.09, 0.2, 10 * speedup, speedup)


def test_methods_take_turns_and_are_compared_with_the_grdb_network() -> None:
    rows = measure(["mean", "seafusion"], ["64x48", "96x64"], 1, 3)
    assert [(r.method, r.size) for r in rows] == [
        ("mean", "64x48"),
        ("seafusion", "64x48"),
        ("mean", "96x64"),
        ("seafusion", "96x64"),
    ]
    for r in rows:
        assert 0 < r.low <= r.seconds <= r.high and r.rate == pytest.approx(1 / r.seconds)
        assert r.speedup is not None and (r.speedup == 1.0 if r.method == "seafusion" else r.speedup > 1)
    text = table(rows, 1)
    assert text.startswith("1 threads") and len(text.splitlines()) == 4 + 4
    assert all(len(line.split("|")) == 11 for line in text.splitlines()[2:])


def test_memory_is_that_of_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = with_memory([row("mean", 1.0, "640x480")], 1)
    assert found.peak is not None and found.added is not None
    assert 50 < found.peak < 3000 and 0 <= found.added < 200
    assert main(["mean", "64x48", "1"]) == 0
    peak, before = (float(word) for word in capsys.readouterr().out.split())
    assert peak >= before > 50


def test_rows_are_written_and_read_again(tmp_path: Path) -> None:
    rows = [row("mean", 2.0), row("seafusion", 1.0)]
    (tmp_path / "speed.json").write_text(json.dumps(as_dict(rows, 2)))
    assert read_rows(tmp_path / "speed.json") == rows
    (tmp_path / "speed.json").write_text("{}")
    with pytest.raises(InputError, match="not a file of 'ldfusion benchmark --json'"):
        read_rows(tmp_path / "speed.json")
    with pytest.raises(InputError, match="--size"):
        measure(["mean"], ["large"], 1)


def test_places_are_means_over_the_columns_and_equals_share_them() -> None:
    rows = {"a": dict.fromkeys(COLUMNS, 1.0), "b": dict.fromkeys(COLUMNS, 2.0), "c": dict.fromkeys(COLUMNS, 2.0)}
    assert mean_places(rows) == {"a": 3.0, "b": 1.5, "c": 1.5}
    rows["a"]["EN"] = 3.0
    assert mean_places(rows)["a"] == pytest.approx((1 + 7 * 3) / 8)


def test_quality_is_drawn_against_time_with_published_methods_as_fixed_points(tmp_path: Path, repository: Path) -> None:
    published = read_published(repository / "docs" / "published.json")
    quality = {"mean": {**dict.fromkeys(COLUMNS, 100.0), "rank": 1.0}}
    (tmp_path / "table.json").write_text(json.dumps({"panel": {"all": quality}}))
    rows = [row("mean", 10.0), row("mean@onnx", 100.0), row("mean", 50.0, "320x240"), row("unknown", 2.0)]
    points = plot(rows, read_quality(tmp_path / "table.json"), published, tmp_path / "plot.svg")
    assert points["mean"] == (pytest.approx(-1.0), 1.5) and points["mean@onnx"] == (pytest.approx(-2.0), 1.5)
    assert points["SeAFusion (published)"][0] == 0.0 and len(points) == 2 + len(published)
    text = (tmp_path / "plot.svg").read_text()
    assert text.startswith("<svg") and "MMDRFuse (published)" in text
    (tmp_path / "bad.json").write_text('{"methods": [{"method": "x", "relative_time": 1}]}')
    with pytest.raises(InputError, match="x: 'EN' is missing"):
        read_published(tmp_path / "bad.json")
    with pytest.raises(InputError, match=r"not a table\.json"):
        read_quality(tmp_path / "bad.json")

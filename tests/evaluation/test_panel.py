from __future__ import annotations

import json
from pathlib import Path

import pytest

from ldfusion.evaluation.panel import by_data_set, mean_ranks, panel_cells, render_panel, write_panel
from ldfusion.evaluation.table import EvaluationTable, MethodScores

COLUMNS = ("EN", "SF", "Nabf")


def table(**methods: dict[str, tuple[float, ...]]) -> EvaluationTable:
    found = EvaluationTable(COLUMNS, {name: MethodScores() for name in methods})
    for name, rows in methods.items():
        for image, values in rows.items():
            found.add(name, image, dict(zip(COLUMNS, values, strict=True)), (40, 50))
    return found


def three() -> EvaluationTable:
    """On ``r`` a leads in both ranked columns, on ``m`` b does."""
    return table(
        a={"r/1": (7, 10, 0.1), "r/2": (6, 10, 0.1), "m/1": (2, 3, 0.1)},
        b={"r/1": (5, 9, 0.0), "r/2": (5, 9, 0.0), "m/1": (6, 30, 0.0)},
        c={"r/1": (4, 1, 0.2), "r/2": (4, 1, 0.2), "m/1": (3, 4, 0.2)},
    )


def test_rank_is_the_mean_place_over_the_ranked_columns() -> None:
    # means: EN a 5, b 5.33, c 3.67; SF a 7.67, b 16, c 2; Nabf is a column but not ranked
    assert mean_ranks(three()) == {"a": 2, "b": 1, "c": 3}
    assert mean_ranks(three(), ["Nabf"]) == {"a": 2, "b": 1, "c": 3}  # lower is better
    assert mean_ranks(three(), ["SF", "EN", "VIF"]) == {"a": 2, "b": 1, "c": 3}
    first = by_data_set(three())["r"]
    assert mean_ranks(first) == {"a": 1, "b": 2, "c": 3}
    mixed = table(a={"r/1": (7, 1, 0)}, b={"r/1": (5, 9, 0)}, c={"r/1": (4, 5, 0)})
    assert mean_ranks(mixed) == {"a": 2, "b": 1.5, "c": 2.5}


def test_equal_means_share_their_places() -> None:
    same = table(a={"r/1": (5, 1, 0)}, b={"r/1": (5, 1, 0)}, c={"r/1": (4, 2, 0)})
    assert mean_ranks(same) == {"a": (1.5 + 2.5) / 2, "b": 2, "c": 2}


def test_what_cannot_be_compared_has_no_rank() -> None:
    nan = float("nan")
    part = table(a={"r/1": (7, 1, 0), "r/2": (7, 1, 0)}, b={"r/1": (6, 2, 0), "r/2": (6, 2, 0)}, c={"r/1": (9, 9, 0)})
    assert mean_ranks(part) == {"a": 1.5, "b": 1.5, "c": None}
    assert [line[-1] for line in panel_cells(part)] == ["rank", "1.50", "1.50", "n/a"]
    missing = table(a={"r/1": (7, 1, 0)}, b={"r/1": (6, 2, 0)}, c={"r/1": (9, nan, 0)})
    assert mean_ranks(missing) == {"a": 1.5, "b": 1.5, "c": None}
    empty = table(a={"r/1": (7, nan, 0)}, b={"r/1": (6, nan, 0)})
    assert mean_ranks(empty) == {"a": 1, "b": 2}
    alone = table(a={"r/1": (7, 1, 0)})
    assert mean_ranks(alone) == {} and panel_cells(alone)[0][-1] == "Nabf"
    assert "rank" not in render_panel({"all": alone})


def test_a_table_for_each_data_set() -> None:
    tables = by_data_set(three())
    assert list(tables) == ["all", "r", "m"]
    assert [[len(scores.rows) for scores in t.methods.values()] for t in tables.values()] == [[3] * 3, [2] * 3, [1] * 3]
    assert tables["m"].methods["a"].mean("SF") == 3
    assert list(by_data_set(tables["r"])) == ["all"]


def test_reasons_go_with_their_images() -> None:
    whole = table(a={"r/1": (7, float("nan"), 0), "m/1": (7, 1, 0)})
    tables = by_data_set(whole)
    assert whole.notes() == tables["r"].notes() != [] and tables["m"].notes() == []
    assert tables["m"].methods["a"].reasons == {}


def test_text_and_json(tmp_path: Path) -> None:
    tables = by_data_set(three())
    text = render_panel(tables)
    assert text.startswith("Convention: plain definitions")
    assert "Nabf ↓ fusion artefacts" in text and "EN ↑ entropy [bit]" in text
    assert "rank: mean place over EN, SF; 1 is best." in text
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "### all, 3 pairs",
        "### r, 2 pairs",
        "### m, 1 pair",
    ]
    assert "| method | images | EN | SF | Nabf | rank |" in text
    assert "| a | 2 | 6.500 | 10.00 | 0.1000 | 1.00 |" in text
    write_panel(tables, tmp_path / "panel.json")
    content = json.loads((tmp_path / "panel.json").read_text())
    assert content["methods"]["a"]["per_image"]["r/2"] == {"EN": 6, "SF": 10, "Nabf": 0.1}
    assert content["panel"]["r"]["a"] == {"images": 2, "EN": 6.5, "SF": 10, "Nabf": pytest.approx(0.1), "rank": 1}
    assert content["panel"]["all"]["c"]["rank"] == 3

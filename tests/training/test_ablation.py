from __future__ import annotations

from ldfusion.config import load
from ldfusion.training.ablation import COLUMNS, VARIANTS, table


def test_variants_are_overrides_of_the_fusion_configuration() -> None:
    for changes in VARIANTS.values():
        load("configs/fusion.yaml", changes)
    assert load("configs/fusion.yaml", VARIANTS["without depth loss"]).loss["depth"] == 0
    assert load("configs/fusion.yaml", VARIANTS["without text"]).model["guided"] is False


def test_table_says_na_where_a_figure_is_missing() -> None:
    full = {name: 1.23456 for name in COLUMNS}
    lines = table({"full": full, "without text": {"EN": 7.0}}).splitlines()
    assert lines[0].startswith("| variant | EN | MI |")
    assert lines[2].startswith("| full | 1.235 |")
    assert lines[3].count("n/a") == len(COLUMNS) - 1

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ldfusion.benchmarks.ablation import COLUMNS, TERMS, VARIANTS, ablate, table
from ldfusion.errors import InputError
from ldfusion.recipes import load
from ldfusion.training.stages.fusion_loss import FusionLoss


def test_variants_are_overrides_of_the_fusion_configuration() -> None:
    for changes in VARIANTS.values():
        load("configs/fusion.yaml", changes)
    assert load("configs/fusion.yaml", VARIANTS["without depth"]).loss["depth"] == 0
    assert load("configs/fusion.yaml", VARIANTS["without text"]).model["guided"] is False


def test_every_loss_has_its_row() -> None:
    left_out = {change for changes in TERMS.values() for change in changes}
    settings = {"goals", "emphasis", "depth_every"}
    terms = {field.name for field in fields(FusionLoss)} - settings
    assert left_out == {f"loss.{name}=0" for name in terms}


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown key 'without txt'.*without text"):
        ablate("configs/fusion.yaml", tmp_path, variants=("without txt",))


def test_table_says_na_where_a_figure_is_missing() -> None:
    full = {name: 1.23456 for name in COLUMNS}
    lines = table({"full": full, "without text": {"EN": 7.0}}).splitlines()
    assert lines[0].startswith("| variant | EN | MI |")
    assert lines[2].startswith("| full | 1.235 |")
    assert lines[3].count("n/a") == len(COLUMNS) - 1

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ldfusion.benchmarks import registration_inputs
from ldfusion.benchmarks.registration_inputs import INPUTS, NETWORKS, PUBLISHED, relative, study, table
from ldfusion.errors import InputError
from ldfusion.recipes import load


def test_the_published_settings_fit_both_recipes() -> None:
    for config in NETWORKS.values():
        experiment = load(config, PUBLISHED)
        assert experiment.loss["supervised"] == 0 and experiment.loss["similarity"] == "mse"
        assert (experiment.optim.lr, experiment.optim.name, experiment.train.batch) == (1e-4, "adam", 20)
        assert experiment.optim.weight_decay == 0 and experiment.data.jitter == 0


def test_curves_are_told_relative_to_their_own_beginning() -> None:
    assert relative([(1, 4.0), (2, 4.0), (3, 2.0), (4, 0.0)], window=1) == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.0)]
    assert relative([(k, 4.0) for k in range(9)]) == [(float(k), 1.0) for k in range(9)]
    assert relative([(1, 2.0), (2, 4.0), (3, 6.0)], window=3)[1] == (2.0, 2.0)


def test_the_table_tells_losses_and_errors() -> None:
    row = {"curve": [(5, 0.2), (10, 0.1)], "similarity": 0.12, "before_px": 40.0, "error_px": 21.26}
    lines = table({"affine/masks": row}).splitlines()
    assert lines[2] == "| affine | masks | 0.2000 | 0.1000 | -50.0 % | 0.1200 | 40.0 | 21.3 |"
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")


def test_a_small_study_trains_every_network_on_every_input(
    data_root: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"voxelmorph": str(repository / "configs" / "tiny" / "registration-voxelmorph.yaml")}
    monkeypatch.setattr(registration_inputs, "NETWORKS", tiny)
    words = [f"data.root={data_root}", "train.steps=10", "train.batch=2", "train.tracker=none"]
    rows = study(tmp_path, words)
    assert list(rows) == [f"voxelmorph/{kind}" for kind in INPUTS]
    for row in rows.values():
        assert [step for step, _ in row["curve"]] == [5, 10] and row["before_px"] > 1
    # equal runs: the same misalignments to judge every input by
    assert len({round(row["before_px"], 4) for row in rows.values()}) == 1
    assert json.loads((tmp_path / "inputs.json").read_text()).keys() == rows.keys()
    assert (tmp_path / "inputs.md").read_text() == table(rows) + "\n"
    with Image.open(tmp_path / "inputs.png") as picture:
        assert picture.size == (640, 440) and len(picture.getcolors(100_000)) > 5
    before = (tmp_path / "voxelmorph-grey" / "weights" / "config.json").stat().st_mtime_ns
    again = study(tmp_path, words)
    for key, value in rows["voxelmorph/masks-published"].items():
        kept = again["voxelmorph/masks-published"][key]
        assert kept == value if key == "curve" else kept == pytest.approx(value, abs=1e-5)
    assert (tmp_path / "voxelmorph-grey" / "weights" / "config.json").stat().st_mtime_ns == before
    people = (tmp_path / "train-people.txt").read_text().splitlines()
    assert people and set(people) <= set((data_root / "splits" / "train.txt").read_text().split())


def test_pairs_without_people_are_not_used(
    data_root: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration_inputs, "SHARE", 1.1)
    monkeypatch.setattr(
        registration_inputs,
        "NETWORKS",
        {"voxelmorph": str(repository / "configs" / "tiny" / "registration-voxelmorph.yaml")},
    )
    with pytest.raises(InputError, match="no pair with labels shows people in 110 % of the frame"):
        study(tmp_path, [f"data.root={data_root}"])

"""Configurations that extend others, and trainings in phases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

from ldfusion.config import Experiment, dump
from ldfusion.errors import InputError
from ldfusion.recipes import load, load_phases
from ldfusion.training.__main__ import main

EFFECTIVE = json.loads(Path(__file__).with_name("recipes.json").read_text())


def changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not the schema's; within the free sections all of them."""
    out = {}
    for key, value in values.items():
        if key in ("data", "optim", "train", "task"):
            value = changed(value, defaults[key])
            if value:
                out[key] = value
        elif value != defaults[key]:
            out[key] = value
    return out


@pytest.mark.parametrize("name", EFFECTIVE)
def test_the_phases_of_a_shipped_recipe_come_to_the_values_that_the_weights_were_trained_with(name: str) -> None:
    defaults = dump(Experiment())
    assert [changed(dump(phase), defaults) for phase in load_phases(name)] == EFFECTIVE[name]


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_file_holds_what_it_changes_in_another(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        a="stage: denoiser\noutput: runs/a\nmodel: {channels: [8, 16], groups: 4}\noptim: {lr: 1e-3}\nphases: [b]\n",
        b="extends: a\noutput: runs/b\nmodel: {groups: 8}\n",
        c="extends: b\nmodel: {channels: [4]}\n",
        fusion="extends: a\n",
    )
    b, c = load(folder / "b.yaml"), load(folder / "c.yaml", ["optim.lr=2e-3"])
    assert (b.output, b.model, b.optim.lr) == ("runs/b", {"channels": [8, 16], "groups": 8}, 1e-3)
    assert (c.output, c.model, c.optim.lr) == ("runs/b", {"channels": [4], "groups": 8}, 2e-3)
    assert len(load_phases(folder / "a.yaml")) == 2 and len(load_phases(folder / "b.yaml")) == 1
    assert load(folder / "fusion.yaml").stage == "denoiser"  # a file beside it comes before a shipped one
    (folder / "d.yaml").write_text("extends: tiny/denoiser\n")
    assert load(folder / "d.yaml").output == "runs/tiny/denoiser"


def test_a_phase_starts_from_the_one_before_unless_it_says_otherwise(tmp_path: Path) -> None:
    text = (
        "stage: denoiser\noutput: runs/a\nphases:\n"
        "  - {extends: a, output: runs/b, seed: 1}\n  - {extends: a, output: runs/c, train: {init: runs/a/weights}}\n"
        "  - named\n"
    )
    folder = written(tmp_path, a=text, named="extends: a\noutput: runs/d\nmodel: {trunk: runs/c/weights}\n")
    phases = load_phases(folder / "a.yaml", ["data.root=/x", "train.steps=3"])
    assert [p.train.init for p in phases] == ["", "runs/a/weights", "runs/a/weights", "runs/c/weights"]
    assert [p.seed for p in phases] == [0, 1, 0, 0]
    assert {p.data.root for p in phases} == {"/x"} and {p.train.steps for p in phases} == {3}
    moved = load_phases(folder / "a.yaml", ["output=/y/z"])
    assert [p.output for p in moved] == ["/y/z/a", "/y/z/b", "/y/z/c", "/y/z/d"]
    assert [p.train.init for p in moved] == ["", "/y/z/a/weights", "/y/z/a/weights", "/y/z/c/weights"]
    assert moved[3].model == {"trunk": "/y/z/c/weights"}
    assert [p.output for p in load_phases(folder / "a.yaml", ["output=/y/z", "phases=[]"])] == ["/y/z"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": "extends: b", "b": "extends: a"}, "extends itself, by way of"),
        ({"a": "extends: [b]"}, "give the name of one configuration"),
        ({"a": "extends: fusoin"}, "did you mean 'fusion'"),
        ({"a": "phases: b"}, "a list of names"),
        ({"a": "phases: [3]"}, "a list of names"),
        ({"a": "output: x\nphases: [b]", "b": "extends: a"}, "two phases have the output 'x'"),
        ({"a": "output: x\nphases: [{extends: a, output: y, trian: {}}]"}, "unknown key 'trian'"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        load_phases(written(tmp_path, **files) / "a.yaml")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_one_command_trains_all_phases_and_leaves_the_finished_ones_alone(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = "{extends: tiny/denoiser, output: runs/b, optim: {lr: 1e-9}}"
    config = written(tmp_path, a=f"extends: tiny/denoiser\noutput: runs/a\nphases: [{second}]\n") / "a.yaml"
    words = ["--config", str(config), f"data.root={data_root}", "train.tracker=none", "train.steps=4", "train.stop=2"]
    runs = tmp_path / "runs"

    def run() -> list[dict[str, torch.Tensor]]:
        assert main([*words, "optim.ema=0", f"output={runs}"]) == 0
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        return [load_file(runs / name / "weights" / "diffusion_pytorch_model.safetensors") for name in "ab"]

    weights = run()
    assert capsys.readouterr().err == ""
    # at its rate the second phase learns nothing: it ends where the first one left it
    assert all(torch.allclose(value, weights[1][name], atol=1e-6) for name, value in weights[0].items())
    finished = (runs / "a" / "metrics.jsonl").stat().st_mtime_ns
    again = run()
    assert capsys.readouterr().err.count("resumed from") == 1  # the last one alone is measured again
    assert (runs / "a" / "metrics.jsonl").stat().st_mtime_ns == finished
    assert all(torch.equal(value, weights[1][name]) for name, value in again[1].items())

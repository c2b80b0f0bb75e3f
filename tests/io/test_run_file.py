from __future__ import annotations

import json
from pathlib import Path

import pytest

from ldfusion.errors import InputError
from ldfusion.io.run_file import RunFile


def test_settings_and_sources_are_kept(tmp_path: Path) -> None:
    run = RunFile(tmp_path, "fuse", {"method": "mean", "range": (0, 50)})
    run.check()
    run.start()
    run.write({"b": {"visible": "b.png"}})
    RunFile(tmp_path, "fuse", {"method": "mean", "range": [0, 50]}).check()
    run.write({"a": {"visible": "a.png"}})
    found = json.loads((tmp_path / "run.json").read_text())
    assert found["command"] == "fuse" and found["settings"] == {"method": "mean", "range": [0, 50]}
    assert list(found["files"]) == ["a", "b"] and found["versions"]["ldfusion"]


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    RunFile(tmp_path, "fuse", {"prompt": "a car"}).write({"a": {}})
    with pytest.raises(InputError, match="made with prompt 'a car', not none; give another folder, or --overwrite"):
        RunFile(tmp_path, "fuse", {}).check()
    RunFile(tmp_path, "register", {}).check()


def test_a_run_that_replaced_results_and_was_killed(tmp_path: Path) -> None:
    RunFile(tmp_path, "fuse", {"seed": 1}).write({"a": {}})
    other = RunFile(tmp_path, "fuse", {"seed": 2})
    other.start()  # with --overwrite, then killed
    for run in (other, RunFile(tmp_path, "fuse", {"seed": 1})):
        with pytest.raises(InputError, match="two kinds: a run that replaced them was stopped; give --overwrite again"):
            run.check()
    other.start()
    other.write({"a": {}})
    other.check()


def test_no_results_no_record_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    run = RunFile(tmp_path, "fuse", {})
    run.start()
    run.write({})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run.json").write_text("[1, ")
    run.check()
    run.write({"a": {}})
    assert json.loads((tmp_path / "run.json").read_text())["files"] == {"a": {}}

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ldfusion.config import Experiment, OptimConfig
from ldfusion.errors import InputError, WorkError
from ldfusion.io.lock import LOCK
from ldfusion.recipes import load
from ldfusion.training.folder import RunFolder, reserved
from ldfusion.training.loop import train


def experiment(path: Path, **changes: object) -> Experiment:
    model = {"channels": [8, 16]}
    return dataclasses.replace(Experiment(stage="denoiser", output=str(path), model=model), **changes)


def with_checkpoint(path: Path) -> Path:
    RunFolder(experiment(path)).begin(0)
    (path / "checkpoints" / "step-00000002").mkdir(parents=True)
    return path


def test_the_configuration_is_written_and_loads_again(tmp_path: Path) -> None:
    RunFolder(experiment(tmp_path / "a" / "run", seed=3)).begin(0)
    assert load(tmp_path / "a" / "run" / "config.yaml") == experiment(tmp_path / "a" / "run", seed=3)
    assert sorted(p.name for p in (tmp_path / "a" / "run").iterdir()) == ["config.yaml"]


def test_the_same_run_may_go_on_with_another_length_and_rate(tmp_path: Path) -> None:
    with_checkpoint(tmp_path)
    RunFolder(experiment(tmp_path, optim=OptimConfig(lr=1.0)))
    RunFolder(experiment(tmp_path, loss={"schedule": "cosine"}))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"stage": "text"}, "stage"),
        ({"model": {"channels": [8, 8]}}, "model"),
        ({"seed": 1}, "seed"),
        ({"optim": OptimConfig(ema=0)}, "optim.ema"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(tmp_path: Path, changes: dict[str, object], key: str) -> None:
    RunFolder(experiment(tmp_path)).begin(0)
    RunFolder(experiment(tmp_path, **changes))  # nothing has been trained there yet
    with_checkpoint(tmp_path)
    with pytest.raises(InputError, match=f"config.yaml: this folder holds a run with another '{key}'; choose another"):
        RunFolder(experiment(tmp_path, **changes))


def test_a_configuration_that_is_none_is_refused_too(tmp_path: Path) -> None:
    (with_checkpoint(tmp_path) / "config.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="another 'stage'"):
        RunFolder(experiment(tmp_path))


def test_no_folder_and_a_file_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="output is empty"):
        RunFolder(Experiment(stage="denoiser"))
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="is a file; give a folder"):
            RunFolder(experiment(path)).begin(0)


def test_what_was_recorded_beyond_the_start_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder(experiment(tmp_path))
    folder.begin(0)
    for step in (2, 4, 6):
        folder.record("train", step, {"train/loss": step / 3})
    folder.record("val", 6, {"mse": 1.0})
    folder.begin(4)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [
        {"kind": "train", "step": 2, "train/loss": 0.666667},
        {"kind": "train", "step": 4, "train/loss": 1.333333},
    ]
    folder.begin(0)
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_starting_anew_drops_the_checkpoints(tmp_path: Path) -> None:
    with_checkpoint(tmp_path)
    RunFolder(experiment(tmp_path)).begin(2)
    assert (tmp_path / "checkpoints" / "step-00000002").is_dir()
    RunFolder(experiment(tmp_path)).begin(0)
    assert not (tmp_path / "checkpoints").exists()


def test_exported_weights_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = RunFolder(experiment(tmp_path))
    folder.export(lambda path: (path / "a").write_text("1"))  # type: ignore[arg-type,return-value]

    def broken(path: Path) -> None:
        (path / "b").write_text("half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        folder.export(broken)
    assert [p.name for p in (tmp_path / "weights").iterdir()] == ["a"]
    folder.export(lambda path: (path / "c").mkdir())
    assert [p.name for p in (tmp_path / "weights").iterdir()] == ["c"]
    assert not (tmp_path / ".weights").exists()


def test_one_run_trains_in_a_folder_at_a_time(tmp_path: Path) -> None:
    with reserved(str(tmp_path / "run")):
        assert (tmp_path / "run" / LOCK).exists()
        with pytest.raises(WorkError, match="run is in use by another run"):
            train(experiment(tmp_path / "run"))
    assert not (tmp_path / "run").exists()  # nothing was written there
    with reserved(""):
        pass

"""The folder of a run: which run it belongs to, and what the run leaves in it.

``config.yaml``, ``checkpoints/``, ``log/`` (TensorBoard), ``metrics.jsonl``, ``pictures/step-N/`` and ``weights/``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import PartialState

from ldfusion.config import Experiment, dump
from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write, check_output_folder, output_folder
from ldfusion.io.lock import folder_lock
from ldfusion.training import checkpoints


@contextlib.contextmanager
def reserved(output: str) -> Iterator[None]:
    """Keep other runs out of the folder of a run while the block trains; of several processes the first one does it.

    Raises:
        WorkError: another run trains there.
    """
    if not output or not PartialState(cpu=not torch.cuda.is_available()).is_main_process:
        yield
        return
    with output_folder(output), folder_lock(output):
        yield


class RunFolder:
    """Reads and writes the folder that ``output`` names. Written to by the main process only.

    Raises:
        InputError: no folder named, one that cannot be written, or one with checkpoints of another run.
    """

    def __init__(self, experiment: Experiment) -> None:
        if not experiment.output:
            raise InputError("output is empty: give the folder of the run, e.g. output=runs/fusion")
        self.experiment, self.path = experiment, Path(experiment.output)
        self.checkpoints = self.path / "checkpoints"
        self._check_owner()

    def _check_owner(self) -> None:
        file = self.path / "config.yaml"
        if not file.is_file() or checkpoints.newest(self.checkpoints) is None:
            return
        before, now = yaml.safe_load(file.read_text(encoding="utf-8")), dump(self.experiment)
        for key, value in _identity(now).items():
            if not isinstance(before, dict) or _identity(before).get(key) != value:
                raise InputError(f"{file}: this folder holds a run with another '{key}'; choose another output folder")

    def begin(self, start: int, stop: int = 0) -> None:
        """Make ready for a run from step ``start`` to ``stop``: what it will record once more is dropped."""
        check_output_folder(self.path)
        with atomic_write(self.path / "config.yaml") as file:
            file.write_text(yaml.safe_dump(dump(self.experiment), sort_keys=False), encoding="utf-8")
        if start == 0:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
        metrics = self.path / "metrics.jsonl"
        if metrics.is_file():
            lines = [line for line in metrics.read_text().splitlines() if _stays(line, start, stop)]
            with atomic_write(metrics) as file:
                file.write_text("".join(f"{line}\n" for line in lines))

    def record(self, kind: str, step: int, figures: Mapping[str, float]) -> None:
        """Append a line to ``metrics.jsonl``; ``kind`` is ``train`` or ``val``."""
        rounded = {name: round(value, 6) for name, value in figures.items()}
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, **rounded}) + "\n")

    def pictures(self, step: int) -> Path:
        """The folder of a validation's pictures, made."""
        folder = self.path / "pictures" / f"step-{step:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def result(self) -> dict[str, float] | None:
        """Figures of the last validation when this very run, to the last setting, is finished; else None."""
        config, metrics = self.path / "config.yaml", self.path / "metrics.jsonl"
        if not (config.is_file() and metrics.is_file() and (self.path / "weights").is_dir()):
            return None
        if yaml.safe_load(config.read_text(encoding="utf-8")) != dump(self.experiment):
            return None
        last = json.loads(metrics.read_text().splitlines()[-1])
        train = self.experiment.train
        if last.pop("kind") != "val" or last.pop("step") != min(train.stop or train.steps, train.steps):
            return None
        return {str(name): float(value) for name, value in last.items()}

    def export(self, write: Callable[[Path], None]) -> None:
        """Replace ``weights/`` by what ``write`` puts into the folder it is given."""
        final, temporary = self.path / "weights", self.path / ".weights"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write(temporary)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)


def _stays(line: str, start: int, stop: int) -> bool:
    """Whether a line of ``metrics.jsonl`` is of before ``start``, and not of the validation at the very end."""
    try:
        record = json.loads(line)
    except ValueError:  # half a line of a killed run
        return False
    return bool(record["step"] <= start and not (record["kind"] == "val" and record["step"] == stop))


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two configurations must share for one to go on from the other's checkpoints."""
    averaged = bool(config.get("optim", {}).get("ema", 0))
    return {**{key: config.get(key) for key in ("stage", "model", "seed")}, "optim.ema": averaged}

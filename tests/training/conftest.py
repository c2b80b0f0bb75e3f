from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ldfusion.config import Experiment
from ldfusion.recipes import load


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """`accelerate` keeps its settings for the life of a process; each test here starts without any."""
    from accelerate.state import AcceleratorState, GradientState

    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def tiny(data_root: Path, repository: Path, tmp_path: Path) -> Callable[..., Experiment]:
    """The configuration ``configs/tiny/STAGE.yaml`` on the tiny data set, without TensorBoard, with overrides."""

    def load_tiny(stage: str = "denoiser", *overrides: str, output: str | Path = "run") -> Experiment:
        words = [
            f"data.root={data_root}",
            f"data.labels={data_root / 'labels'}",
            f"output={tmp_path / output}",
            "train.tracker=none",
        ]
        return load(repository / "configs" / "tiny" / f"{stage}.yaml", [*words, *overrides])

    return load_tiny

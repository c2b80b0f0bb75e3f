"""What docs/EXTENDING.md shows, from outside the package: one file or one row each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.cli import main
from ldfusion.evaluation import metrics
from ldfusion.evaluation.metrics import FusionMeasure
from ldfusion.evaluation.suite import evaluate_tensors
from ldfusion.io.image import write_png
from ldfusion.training.__main__ import main as train

MINE = '''
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from ldfusion.fusion.base import ImageMethod
from ldfusion.io.color import luma
from ldfusion.registration.warp import resize_matrix
from ldfusion.training.stages import Measured, Stage
from ldfusion.types import Registration


class Warm(ImageMethod):
    """The visible image, red where it is warm."""

    name = "warm"

    def __init__(self, strength: float = 0.5) -> None:
        super().__init__()
        self.strength = strength
        self.options = {"strength": strength}

    def fuse(self, visible, infrared):
        red = torch.tensor([1.0, 0.0, 0.0], device=visible.device).view(1, 3, 1, 1)
        return torch.lerp(visible, red.expand_as(visible), self.strength * infrared)


class Resized:
    """A registrar that trusts every pair."""

    def __call__(self, visible, infrared):
        moving, fixed = (tuple(image.shape[-2:]) for image in (infrared, visible))
        return Registration(resize_matrix(moving, fixed), "affine", 0.7, True)


class Line(ModelMixin, ConfigMixin):
    """Infrared values from luma, by a straight line."""

    @register_to_config
    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(slope)), nn.Parameter(torch.zeros(()))

    def forward(self, visible):
        return self.a * luma(visible) + self.b


class LineStage(Stage[Line]):
    """Trains a `Line`."""

    def __init__(self, experiment) -> None:
        self.network = Line(**experiment.model)

    def training_step(self, network, batch, step):
        return {"loss": (network(batch["visible"]) - batch["infrared"]).square().mean()}

    def measure(self, network, batch, number, shown):
        error = (network(batch["visible"]) - batch["infrared"]).abs().mean((1, 2, 3))
        return Measured({"error": error}, batch["visible"][0] if shown else None)
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one's own, where Python finds it."""
    (tmp_path / "mine_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three pairs of 40 x 48 pixels in ``colour`` and ``heat``, and a catalogue that says so."""
    generator = torch.Generator().manual_seed(0)
    for name in "abc":
        write_png(tmp_path / "colour" / f"{name}.png", torch.rand(3, 40, 48, generator=generator))
        write_png(tmp_path / "heat" / f"{name}.png", torch.rand(1, 40, 48, generator=generator))
    (tmp_path / "own.yaml").write_text("own: {root: ., visible: colour, infrared: heat}\n")
    return tmp_path


@pytest.mark.usefixtures("mine")
def test_a_fusion_method_is_one_file(folders: Path) -> None:
    words = ["fuse", str(folders / "colour"), str(folders / "heat"), "-o", str(folders / "out")]
    assert main([*words, "--method", "mine_of_mine:Warm", "--set", "strength=1"]) == 0
    line = json.loads((folders / "out" / "captions.jsonl").read_text().splitlines()[0])
    assert line == {"name": "a", "method": "warm", "strength": 1}
    visible, infrared, fused = (
        np.asarray(Image.open(folders / folder / "a.png"), np.float64) / 255
        for folder in ("colour", "heat", "out/fused")
    )
    expected = visible * (1 - infrared[..., None]) + np.array([1, 0, 0]) * infrared[..., None]
    assert np.abs(fused - expected).max() <= 0.51 / 255


@pytest.mark.usefixtures("mine")
def test_a_registrar_is_one_file(folders: Path) -> None:
    words = ["register", str(folders / "colour" / "a.png"), str(folders / "heat" / "a.png"), "-o", str(folders / "out")]
    assert main([*words, "--method", "mine_of_mine:Resized"]) == 0
    record = json.loads((folders / "out" / "transforms" / "a.json").read_text())
    assert record["score"] == 0.7 and np.allclose(record["matrix"], np.eye(3))


@pytest.mark.usefixtures("mine")
def test_a_stage_is_one_file_and_a_data_set_is_one_row(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "mine.yaml").write_text(
        "stage: mine_of_mine:LineStage\n"
        "data: {datasets: [own], val_datasets: [own], train_split: '', val_split: '', crop: [32, 32]}\n"
        "optim: {lr: 0.05, warmup: 0, ema: 0}\ntrain: {steps: 12, batch: 3, tracker: none}\n"
    )
    more = [f"data.root={folders}", f"data.catalog={folders / 'own.yaml'}", f"output={folders / 'run'}"]
    assert train(["--config", str(folders / "mine.yaml"), *more]) == 0
    assert capsys.readouterr().out.startswith("error: 0.")
    assert (folders / "run" / "weights" / "config.json").is_file()
    assert list((folders / "run" / "pictures").rglob("pictures.png"))


def test_a_metric_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def brightness(fused: torch.Tensor) -> torch.Tensor:
        return fused.double().mean((1, 2, 3))

    row: Any = FusionMeasure("mean", "mean luma [grey levels]", brightness, needs_sources=False)
    monkeypatch.setitem(metrics.METRICS, "mean", row)
    grey = torch.full((1, 32, 32), 0.4)
    table = evaluate_tensors({"method": [grey]}, [grey], [grey], metrics=["mean"])
    assert table.methods["method"].mean("mean") == 102

"""Every stage on an accelerator, a pretended one if there is none: a step, a validation, a step after resuming."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from ldfusion.config import Experiment
from ldfusion.registry import STAGES
from ldfusion.training.loop import Trainer

TINY = {
    path.stem: str(yaml.safe_load(path.read_text())["stage"])
    for path in sorted((Path(__file__).parents[2] / "configs" / "tiny").glob("*.yaml"))
}
"""Tiny recipe -> its stage."""
MORE: dict[str, tuple[str, ...]] = {
    "depth-infrared": ("loss.blend=0.5", "loss.rank=1"),
    "fusion": ("sample.wrong=0.5",),
    "registration-voxelmorph": ("loss.similarity=ncc",),
    "seafusion": ("loss.fusion_steps=1", "loss.rounds=3", "loss.signed=true", "loss.contrast=0.1", "loss.gain=1.1"),
    "segmentation": ("loss.sources=[visible,infrared,seafusion,laplacian,zero-learning]",),
    "registration-affine": ("loss.unsupervised=1",),
    "realtime": ("data.labels=",),  # without a teacher, whose grids are no labels of this data set
}
"""Settings of the recipes that bring more of a stage onto the device."""
STOPS = {"seafusion": (2, 3)}
"""Steps after which a run is stopped and resumed, where the first two do not show all that a stage does."""


def test_every_stage_has_a_recipe_that_is_tried_here() -> None:
    assert set(TINY.values()) == set(STAGES)


@pytest.fixture(scope="session")
def captions(data_root: Path) -> Path:
    """Captions of the tiny data set in which the last validation pair shows no person, unlike the other."""
    records = [json.loads(line) for line in (data_root / "captions.jsonl").read_text().splitlines()]
    records[-1]["objects"] = [thing for thing in records[-1]["objects"] if thing["name"] != "person"]
    file = data_root / "captions-one-without-a-person.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


@pytest.mark.parametrize("recipe", TINY)
def test_a_stage_trains_validates_and_resumes_on_an_accelerator(
    recipe: str, accelerator: torch.device, tiny: Callable[..., Experiment], weights: str, captions: Path
) -> None:
    words = ["train.batch=2", *MORE.get(recipe, ())]
    if recipe == "fusion":
        parts = ("denoiser", "depth_visible", "depth_infrared")
        words += [*(f"model.{name}={weights}/{name}" for name in parts), f"model.text={weights}/text_encoder"]
    if not recipe.startswith("registration"):
        words.append(f"data.captions={captions}")
    done = 0
    for stop in STOPS.get(recipe, (1, 2)):
        trainer = Trainer(tiny(recipe, *words, f"train.stop={stop}"))
        assert trainer.start == done
        assert {p.device.type for p in trainer.stage.network.parameters()} == {accelerator.type}
        figures = trainer.run()
        assert figures and all(math.isfinite(value) for value in figures.values())
        done = stop


def test_what_stays_on_the_cpu_by_mistake_is_found(
    tiny: Callable[..., Experiment], device_guard: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ldfusion.training.loop.to_device", lambda batch, device: batch)
    with (
        device_guard.pretended_accelerator(),
        pytest.raises(device_guard.MixedDevicesError, match="beside tensors of the accelerator"),
    ):
        Trainer(tiny("denoiser")).run()

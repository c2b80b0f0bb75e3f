"""Every tiny recipe, one after the other as a user would run them: the last one builds on the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from ldfusion.config import Experiment
from ldfusion.training.loop import train

STAGES = (
    "denoiser",
    "depth-visible",
    "depth-infrared",
    "captioner",
    "text",
    "fusion",
    "matching",
    "registration-affine",
    "registration-voxelmorph",
    "segmentation",
    "seafusion",
    "detector",
    "realtime",
)
FRAGMENTS = {
    "denoiser": "mse_t50", "depth-visible": "spearman", "depth-infrared": "spearman", "captioner": "report/",
    "text": "pair_to_text/", "fusion": "right/loss", "matching": "within_4px",
    "registration-affine": "error_px", "registration-voxelmorph": "error_px",
    "segmentation": "visible/mIoU", "seafusion": "mIoU", "detector": "mean/AP",
    "realtime": "EN",
}  # fmt: skip


def test_all_stages_train_one_after_the_other(
    tiny: Callable[..., Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the recipes name their folders relative to where they are started
    for stage in STAGES:
        # fewer steps than in the file, but where a plan of turns gives their number
        steps = () if stage == "seafusion" else ("train.steps=2",)
        if stage == "realtime":  # without a teacher, whose grids are no labels of this data set
            steps += ("data.labels=",)
        experiment = tiny(stage, f"output=runs/tiny/{stage}", "train.checkpoint_every=0", *steps)
        figures = train(experiment)
        assert any(name.startswith(FRAGMENTS[stage]) for name in figures), stage
        assert all(math.isfinite(value) for value in figures.values()), (stage, figures)
        weights = tmp_path / "runs" / "tiny" / stage / "weights"
        assert list(weights.glob("**/*.safetensors")) and list(weights.glob("**/config.json")), stage
        assert not list(weights.glob("**/*.bin")) and not list(weights.glob("**/*.pkl"))
        AcceleratorState._reset_state(reset_partial_state=True)

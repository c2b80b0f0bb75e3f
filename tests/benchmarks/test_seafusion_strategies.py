from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ldfusion.benchmarks.seafusion_strategies import METRICS, STRATEGIES, plan_length, strategy_table
from ldfusion.recipes import load


def test_all_strategies_have_the_same_fusion_steps(repository: Path) -> None:
    lengths = {
        strategy: plan_length(load(repository / "configs" / "seafusion.yaml", [f"loss.strategy={strategy}"]))
        for strategy, _ in STRATEGIES.values()
    }
    experiment = load(repository / "configs" / "seafusion.yaml")
    fusing = experiment.loss["rounds"] * experiment.loss["fusion_steps"]
    turns = experiment.loss["rounds"] * experiment.loss["task_steps"]
    assert lengths == {"adaptive": fusing + turns, "content": fusing, "joint": fusing, "pretrained": fusing}
    assert experiment.train.steps == lengths["adaptive"]


def test_the_table() -> None:
    text = strategy_table({"visible": {"mIoU": 0.5, "iou/car": 0.25}, "full": {"mIoU": 0.75, "EN": 7.0}})
    head, _, first, second = text.splitlines()
    assert head == "| training | mIoU | car | EN | MI | VIF | SF | SD | Qabf |"
    assert first == "| visible | 0.500 | 0.250 |" + " n/a |" * 6
    assert second == "| full | 0.750 | n/a | 7.000 |" + " n/a |" * 5


@pytest.mark.slow
def test_one_command_trains_and_judges_every_strategy_once(data_root: Path, repository: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, str(repository / "scripts" / "benchmark.py"), "seafusion-strategies", "--data", str(data_root),
        "--config", str(repository / "configs/tiny/seafusion.yaml"),
        "--segmentation-config", str(repository / "configs/tiny/segmentation.yaml"),
        "-o", str(tmp_path), "train.tracker=none", "train.checkpoint_every=0", "segmentation:train.steps=3",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    rows = json.loads((tmp_path / "strategies.json").read_text())
    assert list(rows) == ["visible", "infrared", *STRATEGIES]
    assert all(METRICS[0] in rows[name] and 0 <= rows[name]["mIoU"] <= 1 for name in STRATEGIES)
    assert len(done.stdout.splitlines()) == 2 + 7
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/metrics.jsonl")}
    assert len(before) == 12
    again = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert again.stdout == done.stdout
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/metrics.jsonl")}

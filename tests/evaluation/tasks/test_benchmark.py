"""The task benchmark on tiny data, launched as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")


@pytest.fixture(scope="module")
def pool(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set with an empty second set, as the benchmark reads RoadScene and MSRS."""
    root = tmp_path_factory.mktemp("pool")
    for entry in data_root.iterdir():
        os.symlink(entry, root / entry.name)
    for folder in ("visible", "infrared", "object_mask"):
        (root / "msrs" / folder).mkdir(parents=True)
        pixels = np.full((80, 96) if folder != "visible" else (80, 96, 3), 1, np.uint8)
        Image.fromarray(pixels).save(root / "msrs" / folder / "unused.png")
    return root


def launch(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "scripts" / "benchmark.py"), "tasks", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)


@pytest.mark.slow
def test_rows_of_two_methods_and_a_second_run(repository: Path, pool: Path, tmp_path: Path) -> None:
    from ldfusion.detection.network import CentreDetector

    CentreDetector(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), stem=8, head=8, working_size=64).save_pretrained(
        tmp_path / "detector"
    )
    words = ["--data", str(pool), "--labels", str(pool / "labels"), "-o", str(tmp_path / "out"), "--scenes", "1"]
    words += ["--methods", "mean,infrared", "--detector", str(tmp_path / "detector")]
    words += ["--train-scenes", "5", "train.steps=3", "train.batch=2", "data.crop=[64,64]", "optim.precision=fp32"]
    first = launch(repository, *words)
    assert first.returncode == 0, first.stderr
    table = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert list(table["rows"]) == ["mean", "infrared"]
    for scores in table["rows"].values():
        assert scores["problems"] == []
        assert 0 <= scores["values"]["mIoU"] <= 100 and 0 <= scores["values"]["AP"] <= 1
        assert scores["values"]["AP car"] is None and -1 <= scores["values"]["depth rho"] <= 1
        assert scores["values"]["AbsRel night"] > 0 and scores["values"]["rho smoke"] is not None
        assert scores["values"]["AbsRel night, re-trained"] not in (None, scores["values"]["AbsRel night"])
    trained = {folder.name for folder in (tmp_path / "out" / "depth").iterdir()}
    assert trained == {"mean-visible", "mean-infrared", "infrared-infrared"}
    assert "| mean |" in first.stdout and "nan" not in first.stdout.lower()
    before = (tmp_path / "out" / "tasks.json").stat().st_mtime_ns
    again = launch(repository, *words)
    assert again.returncode == 0 and again.stdout == first.stdout
    assert (tmp_path / "out" / "tasks.json").stat().st_mtime_ns == before
    other = launch(repository, *words, "train.batch=4")
    assert other.returncode == 2 and "rows of another protocol" in other.stderr


def test_a_folder_without_data(run_script: Callable[..., Any], tmp_path: Path) -> None:
    words = ["--data", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--detector", "/nowhere"]
    result = run_script("benchmark.py", "tasks", *words)
    assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1

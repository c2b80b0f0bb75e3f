from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion.benchmarks.metrics import compare, load_plain
from ldfusion.errors import InputError

pytest.importorskip("scipy", reason="the plain reading needs SciPy")


def scene(height: int, width: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Waves, edges, a saturated area and noise; the fused image is their maximum."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    visible = 120 + 90 * np.sin(x / rng.uniform(4, 30)) * np.cos(y / rng.uniform(4, 30)) + rng.normal(0, 4, x.shape)
    infrared = 80 + 60 * np.sin((x + 2 * y) / rng.uniform(5, 20)) + 90.0 * ((x // 40 + y // 30) % 4 == 0)
    visible[: height // 5] = 255
    images = (np.maximum(visible, infrared), visible, infrared)
    return tuple(torch.from_numpy(np.clip(i.round(), 0, 255)).float()[None, None] for i in images)  # type: ignore[return-value]


def test_the_plain_reading_gives_the_golden_values(
    triple: Callable[[str], tuple[Tensor, Tensor, Tensor]],
) -> None:
    times, (values, others) = compare([triple("arithmetic"), triple("smooth")], load_plain())
    assert times.difference < 1e-6
    assert values["VIF"] == pytest.approx(0.224328, abs=5.1e-7)
    assert others["Qabf"] == pytest.approx(0.308008, abs=5.1e-7)


def test_both_programs_agree_on_odd_sizes() -> None:
    times, rows = compare([scene(61, 83, 0), scene(131, 97, 1)], load_plain())
    assert times.difference < 1e-6 and len(rows) == 2


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldfusion.benchmarks.plain_metrics", None)
    with pytest.raises(InputError, match="the plain reading needs SciPy"):
        load_plain()


@pytest.mark.slow
def test_five_times_faster() -> None:
    images = [scene(480, 640, seed) for seed in range(6)]
    plain = load_plain()
    compare(images[:1], plain)
    times, _ = compare(images, plain)
    assert times.difference < 1e-4
    assert times.ratio > 5, times


def test_the_command(run_script: Callable[..., Any], data_root: Path, tmp_path: Path) -> None:
    for entry in data_root.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    for name in ("msrs", "llvip"):  # named by the program, without validation pairs here
        (tmp_path / name).symlink_to(data_root / "roadscene")
    result = run_script("benchmark.py", "metrics", "--threads", "1", "--data", str(tmp_path))
    assert result.returncode == 0, result.stderr
    heading, _, values = result.stdout.splitlines()[:3]
    assert heading == "| method | images | EN | MI | VIF | SF | SD | Qabf |"
    assert values.startswith("| Laplacian pyramid | 2 |") and "n/a" not in values
    assert "times faster; largest difference of a value" in result.stdout
    missing = run_script("benchmark.py", "metrics", "--threads", "1", "--data", str(tmp_path / "none"))
    assert missing.returncode == 2 and missing.stderr.startswith("benchmark: ")

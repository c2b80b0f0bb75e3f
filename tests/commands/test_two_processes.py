"""Commands on folders under a launcher: each process does its share, and together they leave what one would have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ldfusion.io.image import read_raw

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def launch(processes: int, words: list[str], repository: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, *(TWO if processes == 2 else ()), "-m", "ldfusion.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def numbers(folder: Path) -> dict[str, object]:
    """Every file of a folder: images and arrays as numbers, the rest as text without the folder's name."""
    found: dict[str, object] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "run.json"):
        name = str(file.relative_to(folder))
        if file.suffix == ".png":
            found[name] = read_raw(file).astype(float)
        else:
            found[name] = np.load(file) if file.suffix == ".npy" else file.read_text().replace(folder.name, "")
    return found


@pytest.mark.parametrize("command", ["depth", "register", "caption", "evaluate"])
def test_two_processes_share_the_work(command: str, pairs: Path, weights: str, repository: Path) -> None:
    """The fourth item is broken: its line, said once, shows that one process alone worked on it."""
    for kind in ("visible", "infrared"):
        (pairs / kind / "d.png").write_bytes(b"no image")
    shutil.copytree(pairs / "visible", pairs / "mine")
    visible, infrared = str(pairs / "visible"), str(pairs / "infrared")

    def words(folder: Path) -> list[str]:
        return {
            "depth": ["depth", visible, "-o", str(folder), "--weights", weights],
            "register": ["register", visible, infrared, "-o", str(folder), "--method", "identity"],
            "caption": ["caption", visible, infrared, "--weights", weights],
            "evaluate": [
                *("evaluate", "--fused", str(pairs / "mine"), "--visible", visible, "--infrared", infrared),
                *("--metrics", "EN,SD", "--json", str(folder / "numbers.json")),
            ],
        }[command]

    alone, shared = (launch(k, words(pairs / f"by{k}"), repository) for k in (1, 2))
    assert alone.returncode == 1 and alone.stderr.count("d.png") == 1
    told = [line for line in shared.stderr.splitlines() if "d.png" in line]
    assert len(told) == 1, shared.stderr
    assert shared.stdout == alone.stdout
    if command != "caption":
        one, two = (numbers(pairs / f"by{k}") for k in (1, 2))
        assert one.keys() == two.keys() and len(one) > 0
        for name, value in one.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1.0, err_msg=name)
            elif name.endswith(".json") and command == "evaluate":
                assert json.loads(str(two[name]))["methods"] == json.loads(str(value))["methods"]
            else:
                assert two[name] == value, name

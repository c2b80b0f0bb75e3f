"""The wheel in an environment of its own, run from an empty folder: nothing of the checkout can stand in for it.

The dependencies are those of this environment; with ``WHEEL_ALONE=1`` (``make wheel-check``) they are installed anew.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
ALONE = os.environ.get("WHEEL_ALONE") == "1"


def run(words: list[str | Path], folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The interpreter of a new environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip: list[str | Path] = [sys.executable, "-m", "pip"]
    run([*pip, "wheel", "--quiet", "--no-deps", "-w", folder, repository], folder)
    venv.create(folder / "env", with_pip=False)
    own = folder / "env" / "bin" / "python"
    if not ALONE:  # behind the wheel on the path
        inside = run([own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
        borrowed = [path for path in sys.path if path.endswith("site-packages")] or site.getsitepackages()
        Path(inside, "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    more = [] if ALONE else ["--no-deps"]
    run([*pip, f"--python={own}", "install", "--quiet", *more, next(folder.glob("*.whl"))], folder)
    return own


def test_demo_fuse_train_and_benchmark_from_the_wheel(python: Path, data_root: Path, tmp_path: Path) -> None:
    where = run([python, "-c", "import ldfusion, depth, captioning; print(ldfusion.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    run([python, "-m", "ldfusion.cli", "demo", "-o", "demo"], tmp_path)
    visible, infrared = (next((tmp_path / "demo" / kind).glob("*.png")) for kind in ("visible", "infrared"))
    run([python, "-m", "ldfusion.cli", "fuse", visible, infrared, "-o", "fused"], tmp_path)
    assert [file.name for file in (tmp_path / "fused" / "fused").iterdir()] == [visible.name]
    words = [f"data.root={data_root}", "train.steps=2", "train.tracker=none", "output=run"]
    out = run([python, "-m", "ldfusion.training", "--config", "tiny/denoiser", *words], tmp_path)
    assert out.startswith("mse_t5: ") and list((tmp_path / "run" / "weights").glob("*.safetensors"))
    for name in ("roadscene", "msrs"):  # the table is that of both
        shutil.copytree(data_root / "roadscene", tmp_path / "data" / name)
    shutil.copytree(data_root / "splits", tmp_path / "data" / "splits")
    rows = ["--data", "data", "--methods", "mean", "laplacian"]
    table = run([python, "-m", "ldfusion.benchmarks", "fusion", *rows], tmp_path)
    assert "| mean |" in table.lower() and "| laplacian |" in table.lower()

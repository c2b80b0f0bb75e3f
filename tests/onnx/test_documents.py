"""The programs of docs/realtime.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ldfusion.fusion.onnx_student import write_student
from ldfusion.fusion.realtime import RealtimeNetwork
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.onnx.model import OPSET

pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def program(repository: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (repository / "docs" / "realtime.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[RealtimeFusion, Path]:
    folder = tmp_path_factory.mktemp("programs")
    torch.manual_seed(0)
    RealtimeNetwork((32, 48), (4, 6, 8), 5, 7).save_pretrained(folder / "student")
    method = RealtimeFusion(str(folder / "student"))
    write_student(method, folder / "realtime.onnx", OPSET)
    return method, folder / "realtime.onnx"


def test_the_python_program(exported: tuple[RealtimeFusion, Path], repository: Path) -> None:
    method, file = exported
    rng = np.random.default_rng(0)
    for name, shape in (("visible", (45, 62, 3)), ("infrared", (45, 62))):
        cv2.imwrite(str(file.with_name(f"{name}.png")), rng.integers(0, 256, shape, dtype=np.uint8))
    subprocess.run([sys.executable, "-c", program(repository, "python")], cwd=file.parent, check=True)
    visible = read_visible(file.with_name("visible.png"))[0][None]
    own = method.fuse(visible, read_infrared(file.with_name("infrared.png"))[None])
    made = read_visible(file.with_name("fused.png"))[0]
    assert (made - own[0]).abs().max() < 1.1 / 255


def test_the_cpp_program(exported: tuple[RealtimeFusion, Path], repository: Path, tmp_path: Path) -> None:
    compiler, root = shutil.which("c++"), os.environ.get("ORT_HOME", "/usr/local")
    if compiler is None:
        pytest.skip("no C++ compiler on this machine")
    if not Path(root, "include", "onnxruntime_cxx_api.h").is_file():
        pytest.skip("no headers of ONNX Runtime: set ORT_HOME to the folder of a release")
    method, file = exported
    (tmp_path / "fuse.cpp").write_text(program(repository, "cpp"))
    library = [f"-I{root}/include", f"-L{root}/lib", "-lonnxruntime", f"-Wl,-rpath,{root}/lib"]
    subprocess.run([compiler, "-std=c++17", "fuse.cpp", *library, "-o", "fuse"], cwd=tmp_path, check=True)
    result = subprocess.run([tmp_path / "fuse", file], capture_output=True, text=True, check=True)
    own = method.fuse(torch.full((1, 3, 480, 640), 0.25), torch.full((1, 1, 480, 640), 0.75))
    assert float(result.stdout) == pytest.approx(own[0, 0, 0, 0].item(), abs=1e-4)

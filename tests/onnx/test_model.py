from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion import __version__
from ldfusion.errors import InputError
from ldfusion.fusion.onnx_student import PAIR, OnnxFusion, PictureNetwork, write_student
from ldfusion.fusion.realtime import RealtimeNetwork
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.onnx.model import OPSET, checksum, largest_difference, probe, write_model
from ldfusion.onnx.quantise import quantise
from ldfusion.onnx.session import OnnxModel

pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")

pytestmark = pytest.mark.timeout(900)  # exporting takes seconds, on a busy machine minutes

SMALL = {"working": (32, 48), "widths": (4, 6, 8), "hidden": 5, "token": 7, "text_dim": 128}
Exported = tuple[RealtimeFusion, PictureNetwork, Path]


def pair(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """An untrained student with a tone, its network and its file: exporting takes seconds."""
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    network = RealtimeNetwork(**SMALL)
    with torch.no_grad():
        network.mix.weight.mul_(20)
    network.save_pretrained(folder / "student")
    method = RealtimeFusion(str(folder / "student"), tone="bright")
    return method, write_student(method, folder / "student.onnx", OPSET), folder / "student.onnx"


@pytest.mark.parametrize(("size", "batch"), [((64, 96), 1), ((101, 77), 2), ((33, 32), 1), ((32, 250), 3)])
def test_a_file_gives_what_the_network_gives_at_any_size(exported: Exported, size: tuple[int, int], batch: int) -> None:
    method, network, path = exported
    images = pair(*size, batch)
    assert largest_difference(network, OnnxModel(path, 1), *images) < 1e-5
    fused = OnnxFusion(path).fuse(*images)
    torch.testing.assert_close(fused, method.fuse(*images), atol=1e-5, rtol=0)


def test_a_file_says_what_it_is(exported: Exported) -> None:
    _, network, path = exported
    model = OnnxModel(path, 1)
    assert model.inputs == ["visible", "infrared"]
    about = model.about
    assert about["version"] == __version__ and about["licence"] == "Apache-2.0" and about["opset"] == str(OPSET)
    assert about["method"] == "realtime" and about["tone"] == "bright"
    assert "[0, 1]" in about["inputs"] and "[0, 1]" in about["output"]
    images = probe(PAIR)
    with torch.no_grad():
        own = network(*images.values()).numpy()
    again = model.run(*(image.numpy() for image in images.values()))[0]
    assert about["picture_sha256"] == checksum(again)
    assert abs(np.rint(again * 255) - np.rint(own * 255)).max() <= 1
    assert float(about["picture_mean"]) == pytest.approx(own.mean(), abs=1e-4)


def test_the_pair_of_the_checksum_is_its_formula() -> None:
    visible = probe(PAIR)["visible"]
    assert visible.shape == (1, 3, 96, 128)
    assert visible[0, 2, 5, 11].item() == pytest.approx(((7 + 2) * 11 + (3 + 2) * 5) % 97 / 96)
    assert checksum(np.array([0.0, 1.0], np.float32)) == checksum(np.array([-0.1, 1.2], np.float32))
    assert checksum(np.array([0.0, 0.5], np.float32)) != checksum(np.array([0.0, 1.0], np.float32))


def test_eight_bits_change_little_and_are_told(exported: Exported, tmp_path: Path) -> None:
    _, network, path = exported
    quantise(path, tmp_path / "int8.onnx", [[x.numpy() for x in pair(64, 96)], [x.numpy() for x in pair(80, 72)]])
    model = OnnxModel(tmp_path / "int8.onnx", 1)
    assert model.about["precision"] == "int8" and model.about["method"] == "realtime"
    assert 0 < largest_difference(network, model, *pair(64, 96)) < 0.2
    with pytest.raises(InputError, match="no image to calibrate on"):
        quantise(path, tmp_path / "none.onnx", [])


def test_what_is_no_network_and_shapes_that_it_does_not_take_are_refused(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        OnnxModel(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(InputError, match=r"bad\.onnx: not a network that ONNX Runtime can run"):
        OnnxModel(tmp_path / "bad.onnx")
    wrong = np.zeros((1, 1, 64, 64), np.float32)
    with pytest.raises(InputError, match="cannot be run on visible"):
        OnnxModel(exported[2], 1).run(wrong, wrong)


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime is not installed; pip install 'ldfusion\[onnx\]'"):
        OnnxModel(tmp_path / "any.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match="onnxscript is not installed"):
        write_model(torch.nn.Identity(), {"image": torch.zeros(1, 1, 8, 8)}, ["out"], tmp_path / "any.onnx", {})
    assert list(tmp_path.iterdir()) == []

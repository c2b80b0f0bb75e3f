from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion import export as exports
from ldfusion.cli import main
from ldfusion.commands.export import METHODS
from ldfusion.errors import InputError
from ldfusion.export import TARGETS, load_target
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.realtime import RealtimeNetwork


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of an untrained student."""
    folder = tmp_path_factory.mktemp("student") / "weights"
    torch.manual_seed(0)
    RealtimeNetwork((32, 48), (4, 6, 8), 5, 7).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_exported_student_is_checked_and_fuses(
    pairs: Path, student: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    folders = [str(pairs / name) for name in ("visible", "infrared")]
    words = ["export", "-o", str(pairs / "m.onnx"), "--weights", student]
    assert main([*words, "--tone", "bright", "--check", *folders]) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["a", "b", "c"]
    assert all(float(line.split()[-1]) < 1e-4 for line in out.splitlines())
    assert "opset 18" in err
    assert main(words) == 0
    assert "is kept from before" in capsys.readouterr().err
    fuse = ["fuse", *folders, "-o", str(pairs / "out"), "--method", "realtime", "--runtime", "onnx", "--device", "cpu"]
    assert main([*fuse, "--weights", str(pairs / "m.onnx")]) == 0
    assert sorted(file.name for file in (pairs / "out" / "fused").iterdir()) == ["a.png", "b.png", "c.png"]
    capsys.readouterr()
    assert main([*fuse, "--weights", str(pairs / "m.onnx"), "--tone", "bright", "--overwrite"]) == 2
    assert "sentence and tone are fixed in a file" in capsys.readouterr().err


def test_every_target_says_what_goes_in_and_comes_out() -> None:
    assert tuple(TARGETS) == METHODS
    for name in METHODS:
        target = load_target(name)
        assert target.about["licence"] == "Apache-2.0" and target.about["method"] == name
        images = [torch.rand(1, x.shape[1], 64, 96) for x in target.inputs.values()]
        with torch.no_grad():
            found = target.network(*images)
        assert found.shape == (1, 3 if target.output == "fused" else 1, 64, 96)
        assert all(f"{key}: " in target.about["inputs"] for key in target.inputs)


def test_the_network_of_seafusion_is_its_method() -> None:
    visible, infrared = torch.rand(1, 3, 40, 48), torch.rand(1, 1, 40, 48)
    with torch.no_grad():
        found = load_target("seafusion").network(visible, infrared)
    torch.testing.assert_close(found, load_method("seafusion").fuse(visible, infrared), atol=1e-5, rtol=0)


def test_what_cannot_be_exported_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="'ldfusion' cannot be exported; its steps are separate networks"):
        load_target("ldfusion")
    with pytest.raises(InputError, match="'prompt'"):
        load_target("seafusion", prompt="a car")
    with pytest.raises(InputError, match=r"no config\.json there"):
        exports.export("depth-visible", tmp_path / "d.onnx", weights=str(tmp_path))
    assert main(["export", "-o", str(tmp_path / "m.pt")]) == 2
    assert "give a file ending in .onnx" in capsys.readouterr().err
    assert main(["export", "-o", str(tmp_path / "m.onnx"), "--opset", "11"]) == 2
    assert "give 18 or more" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

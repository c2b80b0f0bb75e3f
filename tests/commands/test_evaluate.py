from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ldfusion.cli import main
from ldfusion.io.image import write_png


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three tiny pairs ``a``, ``b``, ``c`` and fused images of them."""
    generator = torch.Generator().manual_seed(0)
    for name in "abc":
        visible, infrared = torch.rand(3, 48, 40, generator=generator), torch.rand(1, 48, 40, generator=generator)
        write_png(tmp_path / "visible" / f"{name}.png", visible)
        write_png(tmp_path / "infrared" / f"{name}.png", infrared)
        write_png(tmp_path / "mine" / f"{name}.png", (visible + infrared) / 2)
    return tmp_path


def words(root: Path, *more: str) -> list[str]:
    sides = {"fused": "mine", "visible": "visible", "infrared": "infrared"}
    return ["evaluate", *(word for side, name in sides.items() for word in (f"--{side}", str(root / name))), *more]


def test_table_and_json_agree(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folders / "reports" / "numbers.json"
    assert main(words(folders, "--json", str(file))) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("Convention: ")
    numbers = json.loads(file.read_text())["methods"]["mine"]
    assert numbers["images"] == 3
    assert sorted(numbers["per_image"]) == ["a", "b", "c"]
    assert f"{numbers['mean']['EN']:.3f}"[:-1] in out


def test_per_image_lines(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders, "--per-image")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["a", "b", "c", "mean"]


def test_a_missing_and_a_broken_image_cost_a_line_each(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "mine" / "a.png").unlink()
    (folders / "mine" / "b.png").write_bytes(b"")
    assert main(words(folders)) == 1
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert "no fused image for a" in first
    assert "b.png" in second
    assert out.splitlines()[-1].split()[:2] == ["mine", "1"]


def test_fused_images_of_no_pair_are_told(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_png(folders / "mine" / "later.png", torch.rand(3, 48, 40))
    assert main(words(folders)) == 1
    out, err = capsys.readouterr()
    assert err == f"ldfusion: warning: {folders / 'mine'}: no pair of sources for later; left out\n"
    assert out.splitlines()[-1].split()[:2] == ["mine", "3"]


def test_a_missing_folder_is_wrong_usage(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words(folders)[3:], "--fused", str(folders / "nothing")]) == 2
    assert capsys.readouterr().err == f"ldfusion: error: {folders / 'nothing'}: no such file or folder\n"


def test_an_unwritable_json_is_refused_before_the_work(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders, "--json", str(folders))) == 2
    assert "is a folder; give a file" in capsys.readouterr().err
    assert main(words(folders, "--json", str(folders / "mine" / "a.png" / "numbers.json"))) == 2
    out, err = capsys.readouterr()
    assert out == "" and "a.png is a file; give a folder" in err


def test_conventions_and_columns(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders, "--convention", "tang-published", "--metrics", "SD,SF")) == 0
    out = capsys.readouterr().out
    assert out.startswith("Convention: tables published with Tang's program")
    heading, values = out.splitlines()[-2:]
    assert heading.split() == ["method", "images", "SD", "SF"]
    assert float(values.split()[2]) < 16 and float(values.split()[3]) < 1
    assert main(words(folders, "--metrics", "en,Qab")) == 2
    assert "did you mean 'Qabf'" in capsys.readouterr().err


def test_methods_of_one_name_and_a_small_crop(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--fused", str(folders / "visible" / ".." / "mine")]
    assert main(words(folders, *more)) == 2
    assert "two methods are called 'mine'" in capsys.readouterr().err
    for side in ("visible", "infrared", "mine"):
        write_png(folders / side / "a.png", torch.rand(1 if side == "infrared" else 3, 32, 50))
    assert main(words(folders, "--metrics", "EN,VIF")) == 0
    out, err = capsys.readouterr()
    assert err == "" and "n/a: VIF of mine, a: needs 41 pixels a side, the image has 50x32\n" in out
    assert "nan" not in out

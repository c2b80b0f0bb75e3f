"""``ldfusion register`` and ``ldfusion fuse --register`` on drawn scenes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.cli import main
from ldfusion.commands.register import result_files
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.io.image import read_raw, write_png
from ldfusion.io.radiometric import read_thermal
from ldfusion.registration.files import read_transform
from ldfusion.registration.warp import invert, transform_points, warp_image
from ldfusion.types import Registration

AWAY = np.array([[1.05, 0.06, -12.0], [-0.06, 1.05, 8.0], [0, 0, 1]])


@pytest.fixture
def folders(tmp_path: Path, drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> Path:
    """``visible`` and ``infrared`` with the pairs ``a`` (8 bit, moved) and ``b`` (16 bit, moved)."""
    visible, infrared = drawn_scene
    moved = warp_image(infrared, AWAY, (240, 320))[0]
    for name in "ab":
        write_png(tmp_path / "visible" / f"{name}.png", visible[0])
    write_png(tmp_path / "infrared" / "a.png", moved)
    deep = (moved[0].numpy() * 20000 + 3000).round().astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "infrared" / "b.png"), deep)
    return tmp_path


def words(root: Path, *more: str) -> list[str]:
    return ["register", str(root / "visible"), str(root / "infrared"), "-o", str(root / "out"), *more]


def test_every_result_of_a_folder(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders, "--flow")) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1] == f"ldfusion: 2 registered; results in {folders / 'out'}"
    files = {str(f.relative_to(folders / "out")) for f in (folders / "out").rglob("*") if f.is_file()}
    assert files == {str(f) for name in "ab" for f in result_files(name, True)}
    for name, dtype in (("a", np.uint8), ("b", np.uint16)):
        found = read_transform(folders / "out" / "transforms" / f"{name}.json")
        assert found.trusted and found.model == "homography"
        assert corner_error(found.matrix, invert(AWAY), (240, 320)) < 4
        raw = read_raw(folders / "infrared" / f"{name}.png")
        warped = read_raw(folders / "out" / "registered" / f"{name}.png")
        valid = read_raw(folders / "out" / "valid" / f"{name}.png")
        assert warped.dtype == dtype and warped.shape == (240, 320) and set(np.unique(valid)) == {0, 255}
        assert (warped[valid == 0] == 0).all()
        source = transform_points(invert(found.matrix), np.array([[160, 120]]))[0]
        column, row = np.rint(source).astype(int)
        assert abs(int(warped[120, 160]) - int(raw[row, column])) < 0.2 * np.iinfo(dtype).max
        flow = np.load(folders / "out" / "flows" / f"{name}.npy")
        assert flow.shape == (2, 240, 320) and flow.dtype == np.float32
        assert np.abs(flow[:, 120, 160] + (160, 120) - source).max() < 1e-3
        with Image.open(folders / "out" / "panels" / f"{name}.png") as panel:
            assert panel.width > 5 * 320


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """In the place of the registration methods puts one that is at once done, and trusts its result or not."""

    def replace(trusted: bool) -> None:
        def load(method: str = "auto", model: str | None = None, **options: Any) -> Callable[..., Registration]:
            return lambda visible, infrared: Registration(AWAY, model or "homography", float(trusted), trusted)

        monkeypatch.setattr("ldfusion.registration.load_registrar", load)

    return replace


def test_results_are_kept_unless_told_otherwise(
    folders: Path, told: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(True)
    (folders / "infrared" / "b.png").unlink()
    assert main(words(folders, "--model", "affine")) == 0
    file = folders / "out" / "transforms" / "a.json"
    assert json.loads(file.read_text())["model"] == "affine"
    assert main(words(folders)) == 0
    assert "1 kept from before" in capsys.readouterr().err
    assert json.loads(file.read_text())["model"] == "affine"
    assert main(words(folders, "--overwrite")) == 0
    assert json.loads(file.read_text())["model"] == "homography"
    assert main(words(folders, "--overwrite", "--method", "edges", "--model", "affine")) == 0
    assert json.loads(file.read_text())["model"] == "affine"


def test_no_common_content_is_said(
    tmp_path: Path,
    drawn_scene: tuple[torch.Tensor, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "v.png", drawn_scene[0][0])
    write_png(tmp_path / "i.png", torch.rand(1, 120, 160, generator=torch.Generator().manual_seed(0)))
    assert main(["register", "v.png", "i.png", "-o", "out"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "v: cannot be registered" in lines[0] and "1 could not be registered" in lines[1]
    record = json.loads((tmp_path / "out" / "transforms" / "v.json").read_text())
    assert record["trusted"] is False and record["score"] < 0.5
    assert np.allclose(record["matrix"], [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])  # a plain resize
    assert (read_raw(tmp_path / "out" / "registered" / "v.png") > 0).mean() > 0.9


def test_a_colour_mapped_infrared_image_is_said(
    folders: Path, told: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(True)
    (folders / "infrared" / "b.png").unlink()
    grey = cv2.imread(str(folders / "infrared" / "a.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folders / "infrared" / "a.png"), cv2.applyColorMap(grey, cv2.COLORMAP_BONE))
    assert main(words(folders)) == 0
    assert "colour-mapped in no known palette: its luma is used" in capsys.readouterr().err
    assert read_raw(folders / "out" / "registered" / "a.png").shape == (240, 320, 3)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            ["--method", "affine", "--model", "homography"],
            "--model is for the methods auto, edges, orientation and refine",
        ),
        (["--masks"], "--masks is for the methods affine and voxelmorph"),
    ],
)
def test_options_that_do_not_belong_together(
    folders: Path, more: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, *more)) == 2
    assert expected in capsys.readouterr().err
    assert not (folders / "out").exists()


def test_own_weights_and_options_reach_the_method(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(folders, "--weights", str(folders / "visible"))) == 2
    assert f"{folders / 'visible'}: no config.json there" in capsys.readouterr().err
    assert main(words(folders, "--method", "edges", "--weights", "x")) == 2
    assert "--weights is for the methods affine, auto, refine and voxelmorph" in capsys.readouterr().err
    assert main(words(folders, "--set", "starts=1", "--set", "start=2")) == 2
    assert "unknown key 'start'; did you mean 'starts'" in capsys.readouterr().err


def test_fuse_registers_first(folders: Path, drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    (folders / "infrared" / "b.png").unlink()
    common = ["fuse", str(folders / "visible"), str(folders / "infrared"), "--method", "mean"]
    assert main([*common, "-o", str(folders / "out"), "--register"]) == 0
    line = json.loads((folders / "out" / "captions.jsonl").read_text())
    assert line["registered"] is True
    fused = read_raw(folders / "out" / "fused" / "a.png").astype(float).mean(2) / 255
    visible, infrared = drawn_scene
    wanted = (visible.mean(1) + infrared[0]).numpy()[0] / 2
    assert np.abs(fused - wanted)[20:-20, 20:-20].mean() < 0.06


def test_fuse_says_what_cannot_be_registered(
    folders: Path, told: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(False)
    (folders / "infrared" / "b.png").unlink()
    common = ["fuse", str(folders / "visible"), str(folders / "infrared"), "--method", "mean"]
    assert main([*common, "-o", str(folders / "out"), "--register"]) == 1
    assert "a: cannot be registered" in capsys.readouterr().err
    assert (folders / "out" / "fused" / "a.png").exists()


def test_a_thermal_file_is_moved_by_its_values(
    tmp_path: Path, drawn_scene: tuple[torch.Tensor, torch.Tensor], camera_files: ModuleType
) -> None:
    visible, infrared = drawn_scene
    write_png(tmp_path / "visible" / "a.png", visible[0])
    moved = warp_image(infrared, AWAY, (240, 320))[0, 0].numpy()
    counts = (14000 + 6000 * moved).round().astype(np.uint16)
    picture = np.full((240, 320, 3), 128, np.uint8)  # with nothing in it to register by
    (tmp_path / "infrared").mkdir()
    (tmp_path / "infrared" / "a.jpg").write_bytes(camera_files.flir_jpeg(camera_files.fff_block(counts), picture))
    assert main(words(tmp_path, "--range", "-40", "60")) == 0
    assert corner_error(read_transform(tmp_path / "out" / "transforms" / "a.json").matrix, invert(AWAY), (240, 320)) < 4
    warped = read_raw(tmp_path / "out" / "registered" / "a.tiff", holes=True)
    valid = read_raw(tmp_path / "out" / "valid" / "a.png") > 0
    degrees = read_thermal(tmp_path / "infrared" / "a.jpg").values
    assert warped.dtype == np.float32 and np.isnan(warped[~valid]).all() and not np.isnan(warped[valid]).any()
    assert np.median(warped[valid]) == pytest.approx(float(np.median(degrees)), abs=2)
    with pytest.raises(InputError, match="values that are NaN"):
        read_raw(tmp_path / "out" / "registered" / "a.tiff")
    assert main(words(tmp_path)) == 0  # kept, under its suffix

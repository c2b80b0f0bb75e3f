"""`ldfusion fuse` on what cameras write and how people name it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image

from ldfusion.cli import main
from ldfusion.io.image import read_raw, read_visible, write_png

H, W = 48, 64
Lines = pytest.CaptureFixture[str]


def fuse(*words: object) -> int:
    return main(["fuse", *map(str, words), "--method", "mean", "--device", "cpu"])


def celsius(folder: Path, name: str, low: float, high: float) -> None:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / f"{name}.tiff", np.linspace(low, high, H * W, dtype=np.float32).reshape(H, W))


@pytest.fixture
def thermal_pairs(tmp_path: Path) -> Path:
    """Three pairs in one folder: visible files with a camera and infrared ones of rising degrees."""
    folder = tmp_path / "in"
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Test camera"
    for k in range(3):
        celsius(folder, f"{k}_thermal", 10.5 * k, 10.5 * k + 20)
        Image.fromarray(np.full((H, W, 3), 90, np.uint8)).save(folder / f"{k}_RGB.jpg", exif=exif)
    return folder


def test_one_folder_one_gain_and_a_record(thermal_pairs: Path, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "out"
    assert fuse(thermal_pairs, "-o", out) == 0
    assert "paired by the marks in their names: 0_RGB with 0_thermal" in capsys.readouterr().err
    means = [read_visible(out / "fused" / f"{k}_RGB.png")[0].mean().item() for k in range(3)]
    # half the visible 90 / 255, half the gain of the folder, in which a file lies 10.5 of about 41 degrees on
    assert means[1] - means[0] == pytest.approx(means[2] - means[1], abs=0.01)
    assert means[1] - means[0] == pytest.approx(0.5 * 10.5 / 41, abs=0.01)
    with Image.open(out / "fused" / "0_RGB.png") as image:
        assert image.getexif()[ExifTags.Base.Model] == "Test camera"
    run = json.loads((out / "run.json").read_text())
    assert run["settings"]["method"] == "mean" and set(run["versions"]) >= {"ldfusion", "torch"}
    assert run["files"]["1_RGB"]["infrared"] == str(thermal_pairs / "1_thermal.tiff")


def test_a_range_in_degrees(thermal_pairs: Path, tmp_path: Path, capsys: Lines) -> None:
    assert fuse(thermal_pairs, "-o", tmp_path / "out", "--range", "0", "100") == 0
    fused = read_raw(tmp_path / "out" / "fused" / "0_RGB.png").astype(float)
    assert np.abs(fused[-1, -1] - (90 + 0.2 * 255) / 2).max() < 2  # 20 degrees
    assert "given limits" in capsys.readouterr().err
    assert fuse(thermal_pairs, "-o", tmp_path / "other", "--range", "9", "3") == 2
    assert "--range 9 3: give the lower one first" in capsys.readouterr().err


def test_the_panel_has_a_scale(thermal_pairs: Path, tmp_path: Path) -> None:
    assert fuse(thermal_pairs, "-o", tmp_path / "a", "--range", "0", "50") == 0
    assert fuse(thermal_pairs, "-o", tmp_path / "b", "--range", "0", "50", "--thermal-unit", "counts") == 0
    with_scale, without = (read_raw(tmp_path / d / "panels" / "0_RGB.png").astype(int) for d in "ab")
    changed = np.abs(with_scale - without).max(axis=(0, 2)) > 20
    third = len(changed) // 3
    assert changed[third : 2 * third].any() and not changed[:third].any() and not changed[2 * third :].any()


def test_one_thermal_file(tmp_path: Path, camera_files: ModuleType, capsys: Lines) -> None:
    photo = np.tile(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (96, 1, 3))
    counts = np.linspace(15000, 20000, H * W).reshape(H, W).astype(np.uint16)
    file = tmp_path / "FLIR0001.jpg"
    file.write_bytes(camera_files.flir_jpeg(camera_files.fff_block(counts, photo), photo))
    assert fuse(file, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "fused" / "FLIR0001.png").exists()
    file.write_bytes(camera_files.flir_jpeg(camera_files.fff_block(counts), photo))
    assert fuse(file, "-o", tmp_path / "none") == 2
    assert "holds no visible photo beside an infrared image; give both" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_other_settings_into_the_same_folder_are_refused(thermal_pairs: Path, tmp_path: Path, capsys: Lines) -> None:
    out = tmp_path / "out"
    assert fuse(thermal_pairs, "-o", out, "--range", "0", "50") == 0
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert fuse(thermal_pairs, "-o", out, "--range", "0", "40") == 2
    assert (
        "holds results made with range [0.0, 50.0], not [0.0, 40.0]; give another folder, or" in capsys.readouterr().err
    )
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    assert fuse(thermal_pairs, "-o", out, "--range", "0", "50") == 0
    assert "3 kept from before" in capsys.readouterr().err
    assert fuse(thermal_pairs, "-o", out, "--range", "0", "40", "--overwrite") == 0
    assert json.loads((out / "run.json").read_text())["settings"]["range"] == [0, 40]


def test_subfolders(tmp_path: Path, capsys: Lines) -> None:
    for side, channels in (("v", 3), ("i", 1)):
        write_png(tmp_path / side / "a.png", torch.rand(channels, H, W))
        write_png(tmp_path / side / "north" / "a.png", torch.rand(channels, H, W))
    assert fuse(tmp_path / "v", tmp_path / "i", "-o", tmp_path / "out") == 0
    assert "warning: 2 subfolders are passed over (--recursive looks into them)" in capsys.readouterr().err
    assert fuse(tmp_path / "v", tmp_path / "i", "-o", tmp_path / "out", "--recursive") == 0
    assert (tmp_path / "out" / "fused" / "north__a.png").exists()

"""Pairs from files: temperature, the photo inside a thermal file, and what is carried over."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image

from ldfusion import load_pair
from ldfusion.errors import InputError
from ldfusion.io.exif import read_exif
from ldfusion.io.image import read_raw, write_png
from ldfusion.io.thermal import ThermalOptions

H, W = 48, 64


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def thermal_file(tmp_path: Path, photo: np.ndarray, camera_files: ModuleType) -> Path:
    """A FLIR file whose thermal image is the middle of its photo, 1.25 times smaller than it, moved by (4, -2)."""
    luma = photo.mean(axis=2)
    # infrared pixel (x, y) is photo pixel 79.5 + 2 (x - 31.5 + 4), 59.5 + 2 (y - 23.5 - 2)
    x, y = np.meshgrid(79.5 + 2 * (np.arange(W) - 27.5), 59.5 + 2 * (np.arange(H) - 25.5))
    seen = cv2.remap(luma.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    counts = (15000 + seen * 20).round().astype(np.uint16)
    block = camera_files.fff_block(counts, photo, photo_kind="png", place=(160 / (2 * W), 4, -2))
    path = tmp_path / "FLIR0007.jpg"
    path.write_bytes(camera_files.flir_jpeg(block, np.zeros((96, 128, 3), np.uint8)))
    return path


def test_one_file_is_a_pair(thermal_file: Path) -> None:
    pair = load_pair(thermal_file)
    assert pair.name == "FLIR0007" and pair.infrared_size == (H, W)
    assert pair.visible.shape[-2:] == pair.infrared.shape[-2:] and pair.registration is not None
    # cut to what the infrared image shows, and both show the same
    assert 90 <= pair.visible.shape[-2] <= 96 and 118 <= pair.visible.shape[-1] <= 128
    grey, infrared = pair.visible[0].mean(0)[4:-4, 4:-4], pair.infrared[0, 0, 4:-4, 4:-4]
    assert np.corrcoef(grey.ravel(), infrared.ravel())[0, 1] > 0.98
    moved = np.corrcoef(grey[:, 6:].ravel(), infrared[:, :-6].ravel())[0, 1]
    assert moved < 0.95
    assert pair.temperature is not None and pair.temperature.shape == pair.infrared.shape
    assert 3 < float(pair.temperature.nan_to_num(10).min()) and pair.limits is not None


def test_one_file_without_a_photo(tmp_path: Path, camera_files: ModuleType) -> None:
    block = camera_files.fff_block(np.full((H, W), 16000, np.uint16))
    path = tmp_path / "a.jpg"
    path.write_bytes(camera_files.flir_jpeg(block, np.zeros((96, 128, 3), np.uint8)))
    with pytest.raises(InputError, match=r"a\.jpg holds no visible photo beside an infrared image; give both images"):
        load_pair(path)


def test_the_same_file_twice_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_png(tmp_path / "a.png", torch.rand(3, H, W))
    load_pair(tmp_path / "a.png", tmp_path / "a.png")
    assert "a.png was given as the visible and as the infrared image" in caplog.text


def test_temperature_on_the_visible_grid(tmp_path: Path) -> None:
    celsius = np.linspace(-5, 35, H * W, dtype=np.float32).reshape(H, W)
    tifffile.imwrite(tmp_path / "t.tiff", celsius)
    write_png(tmp_path / "v.png", torch.rand(3, 2 * H, 2 * W))
    pair = load_pair(tmp_path / "v.png", tmp_path / "t.tiff", options=ThermalOptions(limits=(-5, 35)))
    assert pair.temperature is not None and pair.temperature.dtype == torch.float32
    assert pair.temperature.shape == (1, 1, 2 * H, 2 * W) and pair.limits == (-5, 35)
    assert torch.allclose(pair.temperature, pair.infrared * 40 - 5, atol=0.01)
    assert torch.allclose(pair.temperature[0, 0, ::2, ::2], torch.from_numpy(celsius), atol=0.7)
    Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / "eight.png")
    pair = load_pair(tmp_path / "v.png", tmp_path / "eight.png")
    assert pair.temperature is None and pair.limits is None


def test_exif_and_position_of_the_visible_file_are_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Test camera"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "2026:11:28 10:00:00",
        ExifTags.Base.MakerNote: b"x" * 99,
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (52.0, 30.0, 1.5)}
    for suffix in ("jpg", "png", "webp"):
        Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(tmp_path / f"v.{suffix}", exif=exif)
        write_png(tmp_path / "out.png", torch.rand(3, 40, 50), read_exif(tmp_path / f"v.{suffix}"))
        assert read_raw(tmp_path / "out.png").shape == (40, 50, 3)  # not turned
        with Image.open(tmp_path / "out.png") as image:
            found = image.getexif()
            inner, gps = (found.get_ifd(f) for f in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
        assert found[ExifTags.Base.Model] == "Test camera" and ExifTags.Base.Orientation not in found
        assert inner[ExifTags.Base.DateTimeOriginal] == "2026:11:28 10:00:00" and ExifTags.Base.MakerNote not in inner
        assert [float(v) for v in gps[ExifTags.GPS.GPSLatitude]] == [52, 30, 1.5]


def test_no_or_damaged_exif_is_none(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.rand(1, H, W))
    assert read_exif(tmp_path / "a.png") == read_exif(tmp_path / "missing.jpg") == b""
    Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / "b.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read_exif(tmp_path / "b.jpg") == b""

"""Infrared files as cameras write them, made here with the same structure from known values."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.io import notices
from ldfusion.io.fff import find_block, parse_block
from ldfusion.io.image import read_infrared
from ldfusion.io.planck import Calibration
from ldfusion.io.radiometric import common_limits, read_thermal
from ldfusion.io.thermal import ThermalOptions

H, W = 48, 64


@pytest.fixture
def counts() -> NDArray[np.uint16]:
    return np.linspace(14686, 20688, H * W).reshape(H, W).astype(np.uint16)


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """A smooth colour picture, larger than the thermal image, with nothing of it."""
    y, x = np.mgrid[:96, :128]
    return np.stack([x * 2, y * 2, 255 - x], axis=-1).astype(np.uint8)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# What FLIR's own software says of the camera that the constants of `camera_files` are from (E40bx, emissivity 0.95,
# 5 m, air 20 C, reflected 7 C), for three raw values of its picture.
KNOWN = {14686: 4.043, 16577: 15.784, 20688: 37.442}


def test_counts_become_the_degrees_of_the_cameras_own_software(camera_files: ModuleType) -> None:
    counts = np.array([list(KNOWN)], dtype=np.uint16).repeat(H, 0).repeat(16, 1)
    flir = parse_block(camera_files.fff_block(counts))
    assert flir.calibration is not None and flir.model == "FLIR Test"
    celsius = flir.calibration.celsius(flir.counts)
    assert celsius.dtype == np.float32
    assert np.abs(celsius[0, ::16] - list(KNOWN.values())).max() < 0.001


def test_a_black_body_in_dry_air_gives_its_own_temperature() -> None:
    calm = Calibration(
        16000, 1400, 1, -6000, 0.012, 1, 0, 293, 293, 293, 1, 0, (0.0066, 0.0126), (-0.0023, -0.0067), 1.9
    )
    assert calm.transmission() == 1
    radiation = np.array([[calm.radiation(kelvin) for kelvin in (250, 300, 350)]])
    assert np.allclose(calm.celsius(radiation), [[-23.15, 26.85, 76.85]], atol=1e-3)
    assert np.isnan(calm.celsius(np.array([[-7000.0]]))).all()


@pytest.mark.parametrize("kind", ["raw", "png"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_flir_jpeg(
    tmp_path: Path,
    counts: NDArray[np.uint16],
    picture: NDArray[np.uint8],
    camera_files: ModuleType,
    kind: str,
    order: str,
) -> None:
    block = camera_files.fff_block(counts, kind=kind, order=order)
    path = write(tmp_path / "FLIR0001.jpg", camera_files.flir_jpeg(block, picture, piece=1000))
    assert np.array_equal(parse_block(find_block(path.read_bytes())).counts, counts)
    found = read_thermal(path)
    assert found.celsius and found.values.shape == (H, W) and found.photo is None
    assert found.values.min() == pytest.approx(4.043, abs=0.002)
    assert found.values.max() == pytest.approx(37.442, abs=0.002)
    display = read_infrared(path, limits=(4.043, 37.442))[0].numpy()
    assert display.shape == (H, W) and display[0, 0] < 0.001 and display[-1, -1] > 0.999


@pytest.mark.parametrize("photo_kind", ["jpeg", "png"])
def test_the_photo_inside_and_its_place(
    counts: NDArray[np.uint16], picture: NDArray[np.uint8], camera_files: ModuleType, photo_kind: str
) -> None:
    block = camera_files.fff_block(counts, picture, photo_kind=photo_kind, place=(1.6, 3, -2))
    flir = parse_block(block)
    assert flir.photo is not None and flir.placement is not None
    assert flir.photo.shape == picture.shape and np.abs(flir.photo.astype(int) - picture).mean() < 3
    # the middle of the infrared picture, moved by 3 and -2 of its pixels, at 128 / (64 * 1.6) photo pixels each
    middle = flir.placement @ [(W - 1) / 2, (H - 1) / 2, 1]
    assert np.allclose(middle, [63.5 + 3 * 1.25, 47.5 - 2 * 1.25, 1])
    assert np.allclose(flir.placement[:2, :2], np.eye(2) * 1.25)


def test_damaged_flir_data_fall_back_to_the_picture(
    tmp_path: Path,
    counts: NDArray[np.uint16],
    picture: NDArray[np.uint8],
    camera_files: ModuleType,
    caplog: pytest.LogCaptureFixture,
) -> None:
    block = camera_files.fff_block(counts)
    for name, broken in {
        "cut": block[:3000],
        "no header": b"AAAA" + block[4:],
        "zero": block[:0x20] + bytes(900),
    }.items():
        with pytest.raises(ValueError):
            parse_block(broken)
        path = write(tmp_path / f"{name}.jpg", camera_files.flir_jpeg(broken, picture))
        assert read_thermal(path).values.shape == picture.shape
        assert f"{name}.jpg: its thermal data cannot be read" in caplog.text
    path = write(
        tmp_path / "plain.jpg", camera_files.flir_jpeg(camera_files.fff_block(counts, calibrated=False), picture)
    )
    found = read_thermal(path)
    assert not found.celsius and np.array_equal(found.values, counts)
    assert "plain.jpg: a FLIR file without calibration: raw counts are used, no degrees are given" in caplog.text


@pytest.mark.parametrize("marker", [0xE3, 0xE4])
def test_dji_jpeg(
    tmp_path: Path,
    camera_files: ModuleType,
    marker: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "_told", set())  # another file of tests may have read one in this process
    counts = np.linspace(17000, 20000, 512 * 640).reshape(512, 640).astype(np.uint16)
    picture = np.zeros((512, 640, 3), np.uint8)
    path = write(tmp_path / "DJI_0001_T.JPG", camera_files.dji_jpeg(counts, picture, marker))
    found = read_thermal(path)
    assert not found.celsius and np.array_equal(found.values, counts)
    if marker == 0xE3:
        assert "DJI thermal files: raw counts are used" in caplog.text
    caplog.clear()
    read_thermal(path)
    assert "DJI" not in caplog.text  # said once
    other = write(tmp_path / "other.jpg", path.read_bytes().replace(b"DJI", b"ABC"))
    assert read_thermal(other).values.shape == (512, 640, 3)  # unknown maker: the picture


def test_infiray(tmp_path: Path, picture: NDArray[np.uint8], camera_files: ModuleType) -> None:
    pytest.importorskip("infiray_irg")
    celsius = np.linspace(-10, 60, H * W, dtype=np.float32).reshape(H, W)
    path = write(tmp_path / "a.irg", camera_files.irg(celsius, picture))
    found = read_thermal(path)
    assert found.celsius and np.abs(found.values - celsius).max() <= 0.051
    assert found.photo is not None and found.photo.shape == picture.shape
    write(path, path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"cannot be decoded .*: truncated or damaged"):
        read_thermal(path)


def test_infiray_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "infiray_irg", None)
    with pytest.raises(InputError, match=r"pip install 'ldfusion\[thermal\]'"):
        read_thermal(write(tmp_path / "a.irg", bytes(100)))


CELSIUS = np.linspace(-4.0, 31.5, H * W).reshape(H, W)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (((CELSIUS + 273.15) * 100).round().astype(np.uint16), "auto"),
        (((CELSIUS + 273.15) * 100).round().astype(np.int16), "auto"),
        (((CELSIUS + 273.15) * 10).round().astype(np.uint16), "auto"),
        (((CELSIUS + 273.15) * 25).round().astype(np.uint16), "kelvin-25"),
        ((CELSIUS + 273.15).astype(np.float32), "auto"),
        (CELSIUS.astype(np.float32), "auto"),
        (CELSIUS.round().astype(np.int16), "celsius"),
    ],
    ids=["K100", "K100-int16", "K10", "K25", "float-K", "float-C", "int-C"],
)
def test_units(tmp_path: Path, values: NDArray[np.generic], unit: str, caplog: pytest.LogCaptureFixture) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", values)
    found = read_thermal(tmp_path / "a.tiff", ThermalOptions(unit))
    assert found.celsius and found.values.dtype == np.float32
    assert np.abs(found.values - CELSIUS).max() <= 0.51 if values.dtype.kind == "i" else 0.06
    if values.dtype == np.uint16:
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / "a.png")
        assert np.array_equal(read_thermal(tmp_path / "a.png", ThermalOptions(unit)).values, found.values)
    if unit == "auto":
        assert "a.tiff is taken for temperatures" in caplog.text
    assert not read_thermal(tmp_path / "a.tiff", ThermalOptions("counts")).celsius


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 65535, H * W).astype(np.uint16),
        np.linspace(3233, 6859, H * W).astype(np.uint16),
        np.linspace(7500, 8200, H * W).astype(np.uint16),
        np.linspace(0, 1, H * W).astype(np.float32),
        np.linspace(0, 255, H * W).round().astype(np.float32),
        np.linspace(0, 20000, H * W).astype(np.float32),
    ],
    ids=["full", "14 bit", "Lepton", "unit", "whole floats", "float counts"],
)
def test_counts_are_not_taken_for_degrees(tmp_path: Path, values: NDArray[np.generic]) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", values.reshape(H, W))
    assert not read_thermal(tmp_path / "a.tiff").celsius


def test_a_camera_that_writes_steps_of_004_kelvin(tmp_path: Path) -> None:
    values = ((CELSIUS + 273.15) * 25).round().astype(np.uint16)
    model = "<x:xmpmeta><xmpDM:cameraModel>Duo Pro R</xmpDM:cameraModel></x:xmpmeta>"
    tifffile.imwrite(tmp_path / "a.tiff", values, extratags=[(700, 1, len(model), model.encode(), True)])
    found = read_thermal(tmp_path / "a.tiff")
    assert found.celsius and np.abs(found.values - CELSIUS).max() <= 0.021


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(InputError, match=r"thermal unit: unknown 'fahrenheit'; known: auto, celsius, kelvin"):
        ThermalOptions("fahrenheit")


def test_holes_take_their_neighbours_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = CELSIUS.astype(np.float32)
    values[10:13, 20:23] = np.nan
    values[0, 0] = np.inf
    tifffile.imwrite(tmp_path / "a.tiff", values)
    found = read_thermal(tmp_path / "a.tiff").values
    assert np.isfinite(found).all() and np.abs(found - CELSIUS).max() < 1.6
    assert np.array_equal(found[20:], values[20:])
    assert "a.tiff: 10 pixels without a value (NaN) are filled from their neighbours" in caplog.text
    tifffile.imwrite(tmp_path / "b.tiff", np.full((H, W), np.nan, np.float32))
    with pytest.raises(InputError, match="holds no values, only"):
        read_thermal(tmp_path / "b.tiff")


def test_one_gain_for_a_folder(tmp_path: Path) -> None:
    files = []
    for k in range(30):
        tifffile.imwrite(tmp_path / f"{k:02}.tiff", (CELSIUS + 10 * (k % 2) + 273.15).astype(np.float32))
        files.append(tmp_path / f"{k:02}.tiff")
    limits = common_limits(files)
    assert limits == pytest.approx((-4, 41.5), abs=0.6)
    neighbours = [read_infrared(file, limits)[0].mean().item() for file in files[:2]]
    assert neighbours[1] - neighbours[0] == pytest.approx(10 / (limits[1] - limits[0]), abs=0.005)
    Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / "eight.png")
    assert common_limits([tmp_path / "eight.png"]) is None
    assert common_limits([tmp_path / "missing.png"]) is None
    tifffile.imwrite(tmp_path / "raw.tiff", np.linspace(7500, 8200, H * W).astype(np.uint16).reshape(H, W))
    assert common_limits([tmp_path / "raw.tiff", files[0]]) is None


@pytest.mark.parametrize("magic", [b"FFF\0", b"GIF89a"])
def test_what_is_not_read_says_what_to_do(tmp_path: Path, magic: bytes) -> None:
    with pytest.raises(
        InputError, match=r"FLIR sequence; export its frames as radiometric JPEG or|a GIF; save it as PNG"
    ):
        read_thermal(write(tmp_path / "a.seq", magic + bytes(99)))

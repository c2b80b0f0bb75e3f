"""Every file that cannot be used gives one InputError line that names it, and nothing else on stderr."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.io.image import read_infrared, read_raw, read_visible


def check(path: Path, message: str, read: Callable[[Path], object] = read_raw) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def noise(dtype: type = np.uint8, channels: tuple[int, ...] = (3,)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (40, 48, *channels), dtype=dtype)


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises far more pixels than its data hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def test_missing_folder_empty_and_not_an_image(tmp_path: Path) -> None:
    check(tmp_path / "missing.png", "no such file")
    check(tmp_path, "is a folder; give an image file")
    (tmp_path / "zero.png").write_bytes(b"")
    check(tmp_path / "zero.png", r"is empty \(0 bytes\)")
    for name, content in {"text.png": b"hello, this is a text", "page.jpg": b"<html></html>", "b.tif": b"II"}.items():
        (tmp_path / name).write_bytes(content)
        check(tmp_path / name, "is not an image that can be read; give a PNG, JPEG, TIFF, BMP or WebP file")
    (tmp_path / "file").write_bytes(b"x")
    check(tmp_path / "file" / "below.png", "cannot be read: Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    check(tmp_path / "a.png", "cannot be read: Permission denied")


def test_truncated_files(tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    for suffix in ("png", "jpg", "bmp", "tif"):
        Image.fromarray(noise()).save(tmp_path / f"whole.{suffix}")
    cv2.imwrite(str(tmp_path / "deep.png"), noise(np.uint16))
    cv2.imwrite(str(tmp_path / "lzw16.tif"), noise(np.uint16))
    Image.fromarray(noise()).save(tmp_path / "lzw8.tif", compression="tiff_lzw")
    tifffile.imwrite(tmp_path / "zlib.tiff", noise(np.uint16, ()), compression="zlib")
    tifffile.imwrite(tmp_path / "float.tiff", noise(np.uint16, ()).astype(np.float32))
    for whole in sorted(tmp_path.iterdir()):
        data = whole.read_bytes()
        for part in (0.02, 0.1, 0.5, 0.9, 0.98):
            cut = tmp_path / f"cut-{part}{whole.suffix}"
            cut.write_bytes(data[: int(len(data) * part)])
            check(cut, "cannot be decoded .*: truncated, damaged or of an unusual kind; copy or export it again")
    output = capfd.readouterr()
    assert output.err == ""
    assert output.out == ""
    assert [str(warning.message) for warning in recwarn] == []


def test_damaged_png(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    check(tmp_path / "a.png", "cannot be decoded")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_too_small(tmp_path: Path, suffix: str) -> None:
    for width, height in ((1, 1), (31, 200), (200, 31)):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (width, height)).save(path)
        check(path, f"is {width}x{height} pixels; at least 32 a side are needed")
    Image.new("RGB", (32, 32)).save(path)
    assert read_visible(path)[0].shape == (3, 32, 32)


def test_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_claiming(60_000, 50_000))
    check(tmp_path / "bomb.png", r"claims 60000x50000 pixels \(3000 megapixels\), over the limit of 200")
    for suffix in ("jpg", "bmp", "tif"):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (60, 50)).save(path)
        check(path, "claims 60x50", lambda path: read_visible(path, max_pixels=2999))
        check(path, "claims 60x50", lambda path: read_infrared(path, max_pixels=2999))
        read_visible(path, max_pixels=3000)


def test_large_header_below_the_limit_is_not_a_bomb_for_pillow_either(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(png_claiming(14_000, 14_000))  # Pillow's own limit lies at 179 megapixels
    check(tmp_path / "large.png", "over the limit of 190", lambda path: read_raw(path, max_pixels=190_000_000))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_tiff_with_holes(tmp_path: Path, value: float) -> None:
    image = np.zeros((40, 48), dtype=np.float32)
    image[3, 5:8] = value
    tifffile.imwrite(tmp_path / "a.tif", image)
    for read in (read_raw, read_visible):
        check(tmp_path / "a.tif", "has 3 values that are NaN or infinite", read)


def test_too_large_for_float32(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((40, 48), 1e300))
    check(tmp_path / "a.tif", "NaN or infinite")


def test_kinds_that_are_no_picture(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "five.tif", np.zeros((40, 48, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    check(tmp_path / "five.tif", "has 5 channels; give a grey or an RGB image")
    tifffile.imwrite(
        tmp_path / "volume.tif", np.zeros((4, 48, 48), np.uint8), volumetric=True, photometric="minisblack"
    )
    check(tmp_path / "volume.tif", "is a volume of 4 slices")
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((40, 48), np.complex64), photometric="minisblack")
    check(tmp_path / "complex.tif", "of an unusual kind")

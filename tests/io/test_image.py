from __future__ import annotations

import logging
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from ldfusion.errors import InputError, WorkError
from ldfusion.io.image import read_infrared, read_raw, read_visible, write_png, write_png16

HEIGHT, WIDTH = 36, 50


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def rgb16() -> NDArray[np.uint16]:
    return np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_visible_of_8_bits_is_exact(tmp_path: Path, rgb: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(rgb).save(path)
    image, is_grey = read_visible(path)
    assert image.shape == (3, HEIGHT, WIDTH)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert not is_grey
    assert torch.equal(image, torch.from_numpy(rgb).permute(2, 0, 1) / 255)


def test_visible_jpeg(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:HEIGHT, 0:WIDTH], 90), axis=-1).astype(np.uint8) * 2
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=98)
    image, is_grey = read_visible(tmp_path / "a.jpg")
    assert not is_grey
    assert np.abs(image.permute(1, 2, 0).numpy() * 255 - smooth).mean() < 2


def test_grey_is_repeated_and_said(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    grey = rgb[..., 0]
    for name, image in {
        "grey.png": Image.fromarray(grey),
        "alpha.png": Image.fromarray(np.stack([grey, np.full_like(grey, 255)], axis=-1), "LA"),
        "repeated.png": Image.fromarray(np.repeat(grey[..., None], 3, axis=2)),
    }.items():
        image.save(tmp_path / name)
        visible, is_grey = read_visible(tmp_path / name)
        assert is_grey, name
        assert torch.equal(visible, (torch.from_numpy(grey.copy()) / 255).expand(3, -1, -1))
        assert torch.equal(read_infrared(tmp_path / name), visible[:1])


def test_a_spot_of_colour_is_colour(tmp_path: Path) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 20, dtype=np.uint8)
    image[3, 4] = (200, 30, 20)
    Image.fromarray(image).save(tmp_path / "night.png")
    assert not read_visible(tmp_path / "night.png")[1]


def test_transparency_is_laid_on_white(
    tmp_path: Path, rgb: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:9], alpha[9:12] = 0, 128
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "part.png")
    assert read_raw(tmp_path / "part.png").shape == (HEIGHT, WIDTH, 4)
    codes = read_visible(tmp_path / "part.png")[0].permute(1, 2, 0).numpy() * 255
    assert (codes[:9] == 255).all() and np.allclose(codes[12:], rgb[12:])
    assert np.abs(codes[9:12] - (rgb[9:12] * (128 / 255) + 127)).max() <= 0.51
    assert "part.png is transparent in parts; white shows through" in caplog.text
    Image.fromarray(np.dstack([rgb, 0 * alpha])).save(tmp_path / "all.png")
    assert np.allclose(read_visible(tmp_path / "all.png")[0].permute(1, 2, 0).numpy() * 255, rgb)
    assert "all.png is wholly transparent; its transparency is left out" in caplog.text
    Image.fromarray(np.dstack([rgb[..., :1], alpha[..., None]]), "LA").save(tmp_path / "grey.png")
    infrared = read_infrared(tmp_path / "grey.png")[0].numpy() * 255
    assert np.allclose(infrared[9:], rgb[9:, :, 0]) and np.isin(infrared[:9].round(), rgb[9:12, :, 0]).all()


def test_palette_and_one_bit(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_raw(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))
    palette.save(tmp_path / "clear.png", transparency=0)
    assert read_raw(tmp_path / "clear.png").shape == (HEIGHT, WIDTH, 4)
    Image.fromarray(rgb[..., 0]).convert("1").save(tmp_path / "bits.png")
    assert set(np.unique(read_raw(tmp_path / "bits.png"))) == {0, 255}


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    red = read_raw(tmp_path / "print.jpg")
    assert red.shape == (HEIGHT, WIDTH, 3)
    assert red[..., 0].min() > 200
    assert red[..., 1:].max() < 60


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_every_format(tmp_path: Path, rgb16: NDArray[np.uint16], orientation: int) -> None:
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    stored = (rgb16 >> 8).astype(np.uint8)
    picture = Image.fromarray(stored)
    expected = np.asarray(picture.transpose(methods[orientation]) if orientation in methods else picture)
    exif = Image.Exif()
    exif[274] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    picture.save(tmp_path / "a.jpg", exif=exif)
    picture.save(tmp_path / "lzw.tif", compression="tiff_lzw", tiffinfo={274: orientation})
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=tag)
    for name in ("a.png", "lzw.tif", "a.tif"):
        assert np.array_equal(read_raw(tmp_path / name), expected), name
    assert read_raw(tmp_path / "a.jpg").shape == expected.shape


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_visible_of_16_bits_keeps_them(tmp_path: Path, rgb16: NDArray[np.uint16], suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    cv2.imwrite(str(path), rgb16[..., ::-1])  # the TIFF is LZW-compressed
    assert np.array_equal(read_raw(path), rgb16)
    assert torch.allclose(
        read_visible(path)[0], torch.from_numpy(rgb16.astype(np.float32) / 65535).permute(2, 0, 1), atol=1e-7
    )


def test_16_bit_png_with_alpha(tmp_path: Path, rgb16: NDArray[np.uint16]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([rgb16[..., ::-1], rgb16[..., 0]]))
    assert np.array_equal(read_raw(tmp_path / "a.png")[..., :3], rgb16)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float16", "float32", "float64", ">u2", ">f4"])
def test_tiff_kinds(tmp_path: Path, dtype: str, compression: str | None) -> None:
    values = np.random.default_rng(2).uniform(0, 200, (HEIGHT, WIDTH)).astype(np.dtype(dtype).newbyteorder("="))
    path = tmp_path / "a.tiff"
    byteorder = ">" if dtype.startswith(">") else "<"
    tifffile.imwrite(path, values, compression=compression, byteorder=byteorder, photometric="minisblack")
    raw = read_raw(path)
    assert raw.dtype == (np.float32 if values.dtype.kind == "f" else values.dtype)
    assert np.array_equal(raw, values.astype(raw.dtype))


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "jpeg"])
def test_tiff_codecs_that_tifffile_lacks(tmp_path: Path, rgb: NDArray[np.uint8], compression: str) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.tif", compression=compression)
    raw = read_raw(tmp_path / "a.tif")
    assert raw.shape == rgb.shape
    if compression != "jpeg":
        assert np.array_equal(raw, rgb)


def test_tiff_planes_alpha_and_pages(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    tifffile.imwrite(tmp_path / "planes.tif", np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_raw(tmp_path / "planes.tif"), rgb)
    tifffile.imwrite(
        tmp_path / "alpha.tif", np.dstack([rgb, rgb[..., 0]]), photometric="rgb", extrasamples=["unassalpha"]
    )
    assert read_visible(tmp_path / "alpha.tif")[0].shape == (3, HEIGHT, WIDTH)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([rgb[..., 0], rgb[..., 1]]), photometric="minisblack")
    assert np.array_equal(read_raw(tmp_path / "pages.tif"), rgb[..., 0])
    tifffile.imwrite(tmp_path / "inverted.tif", rgb[..., 0], photometric="miniswhite")
    assert np.array_equal(read_raw(tmp_path / "inverted.tif"), 255 - rgb[..., 0])


def test_visible_float(tmp_path: Path) -> None:
    values = np.linspace(0, 1, HEIGHT * WIDTH * 3, dtype=np.float32).reshape(HEIGHT, WIDTH, 3)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    assert np.array_equal(read_visible(tmp_path / "a.tif")[0].permute(1, 2, 0).numpy(), values)
    tifffile.imwrite(tmp_path / "b.tif", values * 255, photometric="rgb")
    with pytest.raises(InputError, match=r"float values 0\.\.255; a visible image needs 0\.\.1"):
        read_visible(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", values[..., 0].astype(np.int16), photometric="minisblack")
    with pytest.raises(InputError, match="int16 values"):
        read_visible(tmp_path / "c.tif")


def test_infrared_of_16_bits_goes_through_the_gain(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counts = np.linspace(7000, 8000, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
    counts[0, 0] = 65535
    Image.fromarray(counts).save(tmp_path / "t.png")
    tifffile.imwrite(tmp_path / "t.tiff", counts)
    for name in ("t.png", "t.tiff"):
        infrared = read_infrared(tmp_path / name)
        assert infrared.shape == (1, HEIGHT, WIDTH)
        assert infrared.min() == 0
        assert infrared.max() == 1
        assert abs(float(infrared[0, HEIGHT // 2].mean()) - 0.5) < 0.03
    assert [record.getMessage() for record in caplog.records] == [
        f"16-bit infrared {tmp_path / name}: 7005..7995.01 mapped to 0..1 (percentiles 0.5 and 99.5)"
        for name in ("t.png", "t.tiff")
    ]
    read_infrared(tmp_path / "t.png")
    assert len(caplog.records) == 2  # once per file


def test_infrared_fixed_limits_are_steady(tmp_path: Path) -> None:
    for index, level in enumerate((7000, 7300)):
        frame = np.full((HEIGHT, WIDTH), level, dtype=np.uint16)
        frame[5:9] = 7500
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    frames = [read_infrared(tmp_path / f"{index}.png", limits=(7000, 8000)) for index in range(2)]
    assert torch.allclose(frames[0][0, 5:9], frames[1][0, 5:9])
    assert float(frames[1][0, 0, 0]) == pytest.approx(0.3)
    Image.fromarray(np.full((HEIGHT, WIDTH), 60, dtype=np.uint8)).save(tmp_path / "eight.png")
    assert float(read_infrared(tmp_path / "eight.png", limits=(50, 100)).mean()) == pytest.approx(0.2)
    with pytest.raises(InputError, match="give low below high"):
        read_infrared(tmp_path / "0.png", limits=(8000, 7000))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_16_are_not_black(tmp_path: Path, bits: int, caplog: pytest.LogCaptureFixture) -> None:
    values = np.linspace(0, 2**bits - 1, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint16)
    tifffile.imwrite(tmp_path / f"{bits}.tif", values, photometric="rgb")
    image = read_visible(tmp_path / f"{bits}.tif")[0]
    assert np.allclose(image.permute(1, 2, 0).numpy(), values / (2**bits - 1))
    assert f"uses {bits} of its 16 bits" in caplog.text
    tifffile.imwrite(tmp_path / "black.tif", values * 0, photometric="rgb")
    assert read_visible(tmp_path / "black.tif")[0].max() == 0


def test_pages(tmp_path: Path, rgb: NDArray[np.uint8], caplog: pytest.LogCaptureFixture) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([rgb[..., k] for k in range(3)]), photometric="minisblack")
    assert np.array_equal(read_raw(tmp_path / "a.tif"), rgb[..., 0])
    assert "a.tif has 3 pages: the first is read (--page N for another)" in caplog.text
    assert np.array_equal(read_raw(tmp_path / "a.tif", page=3), rgb[..., 2])
    Image.fromarray(rgb).save(
        tmp_path / "lzw.tif", compression="tiff_lzw", save_all=True, append_images=[Image.fromarray(255 - rgb)]
    )
    assert np.array_equal(read_raw(tmp_path / "lzw.tif", page=2), 255 - rgb)
    for page in (0, 4):
        with pytest.raises(InputError, match=f"has 3 pages, there is no page {page}"):
            read_raw(tmp_path / "a.tif", page=page)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="has one page, there is no page 2"):
        read_raw(tmp_path / "a.png", page=2)


def test_webp(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(read_raw(tmp_path / "a.webp"), rgb)


def test_jpeg_without_its_end_mark(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (160, 240, 3), dtype=np.uint8), (0, 0), 5)
    Image.fromarray(smooth).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[:-2])
    assert np.array_equal(read_raw(tmp_path / "cut.jpg"), read_raw(tmp_path / "whole.jpg"))
    assert "cut.jpg lacks the end mark of a JPEG file; its picture is whole and used" in caplog.text
    (tmp_path / "half.jpg").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(InputError, match="cannot be decoded"):
        read_raw(tmp_path / "half.jpg")


def test_infrared_in_colour(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, WIDTH))
    mapped = cv2.applyColorMap(np.ascontiguousarray(ramp), cv2.COLORMAP_JET)[..., ::-1]
    Image.fromarray(np.ascontiguousarray(mapped)).save(tmp_path / "jet.png")
    infrared = read_infrared(tmp_path / "jet.png")
    assert np.abs(infrared[0].numpy() * 255 - ramp).max() <= 1
    assert "jet.png is colour-mapped (palette 'jet'): turned back to grey" in caplog.text
    down = np.linspace(0, 255, HEIGHT).astype(np.uint8)[:, None]
    leaves = np.stack([90 + ramp // 6 + 0 * down, 110 + down // 6 + 0 * ramp, 80 + 0 * ramp], axis=-1).astype(np.uint8)
    Image.fromarray(leaves).save(tmp_path / "photo.png")
    expected = leaves.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) / 255
    assert np.abs(read_infrared(tmp_path / "photo.png")[0].numpy() - expected).max() < 0.6 / 255
    assert "photo.png is colour-mapped in no known palette: its luma is used. Is it the visible image?" in caplog.text
    caplog.clear()
    Image.fromarray(np.repeat(ramp[..., None], 3, axis=2)).save(tmp_path / "grey.jpg")
    assert np.abs(read_infrared(tmp_path / "grey.jpg")[0].numpy() * 255 - ramp).max() <= 3
    assert caplog.records == []


def test_write_png_round_trip_without_stretching(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    image = torch.from_numpy(rgb).permute(2, 0, 1) / 255 * 0.5
    write_png(tmp_path / "new" / "a.png", image)
    back, _ = read_visible(tmp_path / "new" / "a.png")
    assert float((back - image).abs().max()) <= 0.5 / 255 + 1e-6
    write_png(tmp_path / "grey.png", torch.tensor([-3.0, 0.5, 7.0]).repeat(40, 20)[None])
    assert Image.open(tmp_path / "grey.png").mode == "L"
    assert set(np.unique(np.asarray(Image.open(tmp_path / "grey.png")))) == {0, 128, 255}
    assert os.listdir(tmp_path / "new") == ["a.png"]


def test_write_png16(tmp_path: Path, rgb16: NDArray[np.uint16]) -> None:
    write_png16(tmp_path / "a.png", rgb16[..., 1], {"Comment": "relative inverse depth"})
    assert np.array_equal(read_raw(tmp_path / "a.png"), rgb16[..., 1])
    assert Image.open(tmp_path / "a.png").info["Comment"] == "relative inverse depth"
    write_png16(tmp_path / "b.png", torch.linspace(-0.5, 1.5, 1600).reshape(1, 40, 40))
    raw = read_raw(tmp_path / "b.png")
    assert raw.dtype == np.uint16
    assert (raw.min(), raw.max()) == (0, 65535)
    assert abs(int(raw.reshape(-1)[800]) - 65535 * (-0.5 + 2 * 800 / 1599)) < 1


def test_writers_refuse_nan_and_keep_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, torch.zeros(3, 40, 40))
    before = path.read_bytes()
    for write in (write_png, write_png16):
        with pytest.raises(WorkError, match=r"a\.png is not written: the image holds NaN"):
            write(path, torch.full((1, 40, 40), torch.nan))
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="got"):
        write_png(path, torch.zeros(1, 3, 40, 40))
    with pytest.raises(ValueError, match="int64"):
        write_png16(path, np.zeros((40, 40), dtype=np.int64))


def test_real_pairs_read_without_remark(real_pairs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for dataset in ("roadscene", "msrs", "llvip"):
            visible = min((real_pairs / dataset / "visible").iterdir())
            image, is_grey = read_visible(visible)
            infrared = read_infrared(real_pairs / dataset / "infrared" / visible.name)
            assert not is_grey
            assert image.shape[1:] == infrared.shape[1:]
    assert caplog.records == []

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.errors import InputError
from ldfusion.io.convert import from_batch, to_batch

CODES = np.arange(40 * 36 * 3).reshape(40, 36, 3) % 256


def colour() -> np.ndarray:
    return CODES.astype(np.uint8)


def counts() -> np.ndarray:
    """16-bit values that use the whole range."""
    return np.linspace(0, 65535, 40 * 36).reshape(40, 36).astype(np.uint16)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(colour()),
        colour(),
        colour()[None],
        (colour() / 255).astype(np.float32),
        colour() / 255,
        (colour() / 255).astype(">f4"),
        colour().astype(np.uint16) * 257,
        (colour().astype(np.uint16) * 257).astype(">u2"),
        np.dstack([colour(), np.full((40, 36), 9, np.uint8)]),
        torch.from_numpy(colour()).permute(2, 0, 1),
        torch.from_numpy(colour()).permute(2, 0, 1)[None] / 255,
        torch.from_numpy(colour().astype(np.uint16) * 257).permute(2, 0, 1),
        [Image.fromarray(colour())],
    ],
    ids=lambda image: f"{type(image).__name__}-{getattr(image, 'dtype', '')}",
)
def test_every_form_of_a_colour_image_is_the_same_batch(image: object) -> None:
    batch = to_batch(image, 3, "visible")
    assert batch.shape == (1, 3, 40, 36) and batch.dtype == torch.float32
    expected = torch.from_numpy(colour()).permute(2, 0, 1)[None] / 255
    assert torch.allclose(batch, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_common_mode_of_pil(mode: str, channels: int) -> None:
    grey = Image.fromarray(np.full((40, 36), 255, np.uint8))
    image = grey.convert("LA") if mode == "LA" else grey.convert("RGB").convert(mode)
    batch = to_batch(image, channels, "image")
    assert batch.shape == (1, channels, 40, 36)
    if mode != "LAB":  # where 255 is not white in every channel
        assert torch.allclose(batch, torch.ones(()), atol=0.02)


def test_grey_is_repeated_and_colour_reduced_to_luma() -> None:
    grey = np.linspace(0, 1, 40 * 36, dtype=np.float32).reshape(40, 36)
    batch = to_batch(grey, 3, "visible")
    assert torch.equal(batch[:, 0], batch[:, 1]) and torch.equal(batch[:, 0], batch[:, 2])
    assert torch.equal(to_batch(grey, 1, "infrared"), batch[:, :1])
    red = np.zeros((40, 36, 3), np.float32)
    red[..., 0] = 1
    assert torch.allclose(to_batch(red, 1, "infrared"), torch.tensor(0.299))


def test_wide_pil_images_are_not_clipped_to_white() -> None:
    expected = torch.from_numpy(counts() / np.float32(65535))
    for image in (
        Image.fromarray(counts()),
        Image.fromarray(counts().astype(np.int32)),
        Image.fromarray(counts() / np.float32(65535)),
    ):
        assert image.mode in ("I;16", "I", "F")
        assert torch.allclose(to_batch(image, 3, "visible")[0, 1], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["array", "I;16", "I"])
def test_thermal_counts_get_the_gain_of_a_thermal_file(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    thermal = (7000 + counts() // 256).astype(np.uint16)  # 256 of 65,536 levels
    image = {"array": thermal, "I;16": Image.fromarray(thermal), "I": Image.fromarray(thermal.astype(np.int32))}[kind]
    with caplog.at_level(logging.INFO, logger="ldfusion.io"):
        batch = to_batch(image, 1, f"infrared {kind}")
    assert batch.min() == 0 and batch.max() == 1
    assert batch.mean() == pytest.approx(0.5, abs=0.01)
    assert any("mapped to 0..1" in record.getMessage() for record in caplog.records)


def test_batches_and_lists() -> None:
    images = np.stack([colour(), 255 - colour()])
    batch = to_batch(images, 3, "visible")
    assert batch.shape == (2, 3, 40, 36)
    assert torch.allclose(batch.sum(0), torch.ones(()))
    assert torch.equal(to_batch(list(images), 3, "visible"), batch)
    assert torch.equal(to_batch(batch, 3, "visible"), batch)
    assert torch.equal(to_batch([batch[0], Image.fromarray(images[1])], 3, "visible"), batch)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ("a.png", "give a PIL image, an array or a tensor, not str"),
        (None, "give a PIL image, an array or a tensor, not NoneType"),
        ([], "no image given"),
        (torch.zeros(0, 3, 40, 40), "no image given"),
        (np.zeros((40, 40, 2)), "expected 1, 3 or 4 channels"),
        (np.zeros((3, 40, 41)), r"channels last .* got an array of shape \(3, 40, 41\)"),
        (torch.zeros(40, 41, 3), r"channels first; got a tensor of shape \(40, 41, 3\)"),
        (np.zeros(40), r"an array must be \(H, W\) or \(H, W, C\), got \(40,\)"),
        (np.zeros((40, 40), np.int64), "int64 values cannot be used; give uint8, uint16 or floats"),
        (np.zeros((40, 40), object), "object values cannot be used"),
        (torch.zeros(3, 40, 40, dtype=torch.int32), r"torch\.int32 values cannot be used"),
        (np.full((40, 40), 255.0), r"float values must lie in \[0, 1\], got 255\.\.255"),
        (np.full((40, 40), -0.5), r"float values must lie in \[0, 1\]"),
        (np.full((40, 40), np.nan), "not finite"),
        (torch.full((3, 40, 40), float("inf")), "not finite"),
        (np.zeros((31, 40)), "40x31 is too small; both sides must be at least 32 pixels"),
        ([np.zeros((40, 40)), np.zeros((40, 41))], "differ in size"),
        (Image.new("La", (40, 40)), "mode La cannot be used; convert it"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(images: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        to_batch(images, 3, "visible")
    assert str(caught.value).startswith("visible: ")


def test_back_to_arrays_and_pictures() -> None:
    batch = to_batch(np.stack([colour(), 255 - colour()]), 3, "visible")
    assert from_batch(batch, "pt") is batch
    array = from_batch(batch, "np")
    assert array.shape == (2, 40, 36, 3) and np.array_equal(array[0], batch[0].permute(1, 2, 0).numpy())
    pictures = from_batch(batch, "pil")
    assert [p.mode for p in pictures] == ["RGB", "RGB"]
    assert np.array_equal(np.asarray(pictures[0]), colour())


def test_depth_becomes_16_bit_pictures_of_its_own_range() -> None:
    depth = torch.linspace(0, 7, 40 * 36).view(1, 1, 40, 36)
    (picture,) = from_batch(depth, "pil")
    values = np.asarray(picture)
    assert picture.mode == "I;16" and values.max() == 65535 and values.min() == 0
    assert np.abs(values / 65535 * 7 - depth[0, 0].numpy()).max() < 1e-4
    assert np.asarray(from_batch(torch.zeros(1, 1, 40, 36), "pil")[0]).max() == 0


@pytest.mark.parametrize("dtype", [torch.uint16, torch.int16, torch.float32, torch.float64])
def test_kelvin_as_a_tensor_or_an_array_is_the_same(dtype: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    kelvin = np.linspace(270, 310, 40 * 36).reshape(40, 36)
    array = (kelvin * (1 if dtype.is_floating_point else 100)).astype(str(dtype).removeprefix("torch."))
    expected = to_batch(array, 1, f"array {dtype}")
    assert expected.min() == 0 and expected.max() == 1 and expected.mean() == pytest.approx(0.5, abs=0.01)
    for tensor in (torch.from_numpy(array), torch.from_numpy(array)[None], torch.from_numpy(array)[None, None]):
        assert torch.equal(to_batch(tensor, 1, "tensor"), expected)
    assert re.search(rf"array {dtype}: -(3.0|2.9)..36.[67] degrees C mapped to 0..1", caplog.text)


def test_kelvin_with_holes() -> None:
    kelvin = np.linspace(270, 310, 40 * 36, dtype=np.float32).reshape(40, 36)
    kelvin[3:5, 3:6] = np.nan
    assert torch.isfinite(to_batch(kelvin, 1, "infrared")).all()


def test_a_transparent_picture_is_laid_on_white() -> None:
    clear = np.dstack([0 * colour(), np.full((40, 36), 255, np.uint8)])
    clear[:5, :, 3] = 0
    batch = to_batch(Image.fromarray(clear), 3, "visible")
    assert (batch[..., :5, :] == 1).all() and (batch[..., 5:, :] == 0).all()

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ldfusion.io.palette import NAMES, apply_palette, palette, recognise, to_grey


@pytest.fixture
def scene() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return 0.5 + 0.3 * np.sin(x / 17) * np.cos(y / 23) + 0.2 * np.sin((x + y) / 41)


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name: str, scene: np.ndarray) -> None:
    coloured = apply_palette(scene, name)
    assert coloured.shape == (120, 160, 3) and coloured.dtype == np.uint8
    assert recognise(coloured) == name
    error = np.abs(to_grey(coloured, name).astype(float) - scene * 255)
    assert np.median(error) <= 2 and (error > 12).mean() < 0.03


@pytest.mark.parametrize("name", ["iron", "iron red", "rainbow of high contrast", "jet", "inferno"])
def test_a_jpeg_with_lettering(name: str, scene: np.ndarray) -> None:
    coloured = apply_palette(scene, name)
    coloured[:12, :60] = 255
    buffer = io.BytesIO()
    Image.fromarray(coloured).save(buffer, "JPEG", quality=85)
    decoded = np.asarray(Image.open(buffer))
    assert recognise(decoded) == name
    grey = to_grey(decoded, name)[14:]
    assert np.corrcoef(grey.ravel(), scene[14:].ravel())[0, 1] > 0.98


def test_luma_would_not_do() -> None:
    ramp = np.linspace(0, 1, 256)[None].repeat(40, 0)
    coloured = apply_palette(ramp, "rainbow of high contrast")
    luma = coloured @ np.array([0.299, 0.587, 0.114])
    assert np.corrcoef(luma.ravel(), ramp.ravel())[0, 1] < 0.6
    assert np.corrcoef(to_grey(coloured, "rainbow of high contrast").ravel(), ramp.ravel())[0, 1] > 0.999


def test_photographs_and_grey_are_no_palette(scene: np.ndarray) -> None:
    grey = (scene * 255).astype(np.uint8)[..., None].repeat(3, 2)
    assert recognise(grey) is None
    y, x = np.mgrid[:120, :160] / 160
    street = np.stack([0.4 + 0.2 * x, 0.4 + 0.3 * y, 0.5 - 0.2 * x * y], axis=-1)
    street[80:] = (0.3, 0.32, 0.3)
    assert recognise((street * 255).astype(np.uint8)) is None
    rng = np.random.default_rng(0)
    assert recognise((street * 60 + rng.normal(0, 3, street.shape)).clip(0, 255).astype(np.uint8)) is None


def test_ends_of_a_palette() -> None:
    assert palette("iron").shape == (256, 3)
    assert np.array_equal(apply_palette(np.array([[-1.0, 2.0]]), "hot")[0], palette("hot")[[0, 255]])

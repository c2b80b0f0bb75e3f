from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion.io.color import luma
from ldfusion.io.image import read_infrared, read_raw, write_png, write_stored
from ldfusion.loading import load_pair
from ldfusion.registration.align import FEATHER, align, align_stored, feather, place
from ldfusion.registration.warp import valid_mask
from ldfusion.types import Pair, Registration

SHIFT = np.array([[1.0, 0, 4], [0, 1, 2], [0, 0, 1]])


class Moved:
    """Answers with the same transform for every pair."""

    def __init__(self, matrix: np.ndarray, trusted: bool = True) -> None:
        self.found = Registration(matrix, "affine", 0.8 if trusted else 0.1, trusted)

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        return self.found


def random_pair(size: tuple[int, int] = (60, 70)) -> Pair:
    generator = torch.Generator().manual_seed(0)
    visible, infrared = (torch.rand(1, c, *size, generator=generator) for c in (3, 1))
    return Pair("a", visible, infrared, False, size)


def test_fill_never_darkens() -> None:
    visible, infrared = torch.rand(1, 3, 40, 40), torch.rand(1, 1, 40, 40)
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    mask[..., :20] = True
    filled = place(infrared, mask, visible, mask.float())
    assert torch.equal(filled[..., :20], infrared[..., :20])
    assert torch.equal(filled[..., 20:], luma(visible)[..., 20:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_stored_images_keep_channels_and_depth(dtype: type, channels: int) -> None:
    rng = np.random.default_rng(1)
    array = (rng.random((40, 50, channels)) * (60000 if dtype == np.uint16 else 255)).astype(dtype)
    array = array[..., 0] if channels == 1 else array
    shift = np.array([[1.0, 0, 4], [0, 1, 2], [0, 0, 1]])
    warped = align_stored(array, Registration(shift, "affine", 1.0, True), (40, 50))
    assert warped.dtype == array.dtype and warped.shape == array.shape
    # float32 sampling positions: below the rounding of an integer, visible in a float
    assert np.allclose(warped[2:, 4:], array[:-2, :-4], rtol=0, atol=1e-3 if dtype == np.float32 else 0)
    assert not warped[:2].any() and not warped[:, :4].any()


def test_the_infrared_comes_in_over_the_feather() -> None:
    mask = torch.zeros(1, 1, 60, 80, dtype=torch.bool)
    mask[..., 20:] = True
    weight = feather(mask)
    assert not weight[..., :20].any() and (weight[..., 20 + FEATHER :] == 1).all()
    row = weight[0, 0, 30, 20 : 20 + FEATHER]
    assert (row.diff() > 0).all() and 0 < row[0] < 0.2 < 0.8 < row[-1] <= 1
    assert (feather(torch.ones_like(mask)) == 1).all()


def test_a_registered_pair_shows_the_moved_image_and_the_luma_around_it() -> None:
    pair = random_pair()
    found = align(pair, Moved(SHIFT))
    assert found.registration is not None and found.registration.trusted and found.visible is pair.visible
    inner = (..., slice(2 + FEATHER, None), slice(4 + FEATHER, None))
    assert torch.allclose(found.infrared[inner], pair.infrared[..., FEATHER:-2, FEATHER:-4], atol=1e-5)
    assert torch.equal(found.infrared[..., :2, :], luma(pair.visible)[..., :2, :])
    between = luma(pair.visible)[..., 2:10, 4:], pair.infrared[..., :8, :-4], found.infrared[..., 2:10, 4:]
    low, high = torch.minimum(*between[:2]), torch.maximum(*between[:2])
    assert ((between[2] >= low - 1e-5) & (between[2] <= high + 1e-5)).all()


def test_what_is_not_trusted_is_only_resized() -> None:
    pair = random_pair()
    small = Pair("b", pair.visible, pair.infrared[..., ::2, ::2], False, (30, 35))
    plain, refused = align(small), align(small, Moved(SHIFT, trusted=False))
    assert plain.registration is None and plain.infrared.shape == (1, 1, 60, 70)
    assert torch.equal(plain.infrared, refused.infrared)
    assert refused.registration is not None and not refused.registration.trusted
    assert np.allclose(refused.registration.matrix, [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])


@pytest.mark.parametrize("matrix", [np.array([[0.9, 0.02, -1.0], [-0.01, 1.1, 2.5], [0, 0, 1]])])
def test_registered_first_and_fused_then_is_the_same(matrix: np.ndarray, tmp_path: Path) -> None:
    pair = random_pair()
    write_png(tmp_path / "v.png", pair.visible[0])
    write_png(tmp_path / "i.png", pair.infrared[0])
    at_once = load_pair(tmp_path / "v.png", tmp_path / "i.png", registrar=Moved(matrix))
    assert at_once.registration is not None
    stored = align_stored(read_raw(tmp_path / "i.png"), at_once.registration, (60, 70))
    write_stored(tmp_path / "registered.png", stored)
    later = read_infrared(tmp_path / "registered.png")[None]
    covered = feather(valid_mask(matrix, (60, 70), (60, 70))) == 1
    assert covered.float().mean() > 0.3
    assert (at_once.infrared - later)[covered].abs().max() <= 0.5 / 255 + 1e-5

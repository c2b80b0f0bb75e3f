from __future__ import annotations

import cv2
import numpy as np
import pytest

from ldfusion.config import DataConfig
from ldfusion.data.augment import Augmentation, draw, whole

FRAME = (480, 640)


def ramp(height: int, width: int) -> np.ndarray:
    """(h, w, 2) float32: each pixel holds where its centre lies in the frame, y and x from 0 to 1."""
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    return np.dstack(np.broadcast_arrays(y[:, None], x[None])).astype(np.float32)


def some(count: int, **settings: object) -> list[Augmentation]:
    data = DataConfig(**{"crop": [160, 160], "scale": [0.6, 1.4], "jitter": 0.0, **settings})
    return [draw(np.random.default_rng(seed), FRAME, data) for seed in range(count)]


@pytest.mark.parametrize("shape", [(196, 259), (240, 320), (480, 640), (960, 1280)])
def test_labels_of_any_resolution_stay_in_register_with_the_image(shape: tuple[int, int]) -> None:
    for aug in some(40):
        image = aug.geometry(ramp(*FRAME))
        label = aug.geometry(ramp(*shape), cv2.INTER_LINEAR)
        step = np.array([aug.height / 160, aug.width / 160])  # one pixel of the sample, in parts of the frame
        inside = np.abs(label - image)[4:-4, 4:-4] / step
        assert inside.max() < 0.7 if shape[0] > FRAME[0] else inside.max() < 0.1


def test_the_window_is_the_one_that_was_drawn() -> None:
    for aug in some(40, flip=0.0):
        y, x = aug.geometry(ramp(*FRAME)).transpose(2, 0, 1)
        assert y.mean() == pytest.approx(aug.top + aug.height / 2, abs=1e-3)
        assert x.mean() == pytest.approx(aug.left + aug.width / 2, abs=1e-3)
        assert 0 <= aug.top <= 1 - aug.height + 1e-9 and 0 <= aug.left <= 1 - aug.width + 1e-9


def test_a_crop_keeps_the_aspect_and_the_zoom_stays_in_range() -> None:
    for aug in some(40):
        zoom = 160 / (aug.height * FRAME[0]), 160 / (aug.width * FRAME[1])
        assert zoom[0] == pytest.approx(zoom[1], rel=0.02)
        assert 0.59 < zoom[0] < 1.42


def test_a_frame_smaller_than_the_sample_is_enlarged() -> None:
    data = DataConfig(crop=[160, 160], scale=[0.6, 1.0])
    aug = draw(np.random.default_rng(0), (100, 200), data)
    assert aug.top == 0 and aug.height == 1 and aug.width == pytest.approx(0.5)
    assert aug.geometry(np.zeros((100, 200, 3), np.uint8)).shape == (160, 160, 3)


def test_full_frames_are_resized_whole_or_zoomed_into() -> None:
    augs = some(40, full_frame=True, crop=[64, 96], scale=[0.5, 2.0])
    assert any(aug.height == 1 and aug.width == 1 for aug in augs)
    assert min(aug.height for aug in augs) < 0.6
    assert all(aug.geometry(np.zeros((*FRAME, 3), np.uint8)).shape == (64, 96, 3) for aug in augs)


def test_flips_come_as_often_as_asked_and_mirror_every_label() -> None:
    assert not any(aug.flip for aug in some(40, flip=0.0))
    assert all(aug.flip for aug in some(40, flip=1.0))
    assert 8 < sum(aug.flip for aug in some(40, flip=0.5)) < 32
    x = np.tile(np.arange(8, dtype=np.uint8), (8, 1))
    aug = Augmentation(0, 0, 1, 1, (8, 8), flip=True)
    assert aug.geometry(x)[0].tolist() == aug.geometry(x, cv2.INTER_NEAREST)[0].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]


def test_class_ids_are_never_mixed_and_sampled_at_pixel_centres() -> None:
    ids = np.tile(np.repeat(np.array([0, 3, 255, 1], np.uint8), 4), (16, 1))
    for aug in [*some(20, crop=[48, 48]), Augmentation(0.03, 0.17, 0.71, 0.53, (31, 47))]:
        assert set(np.unique(aug.geometry(ids, cv2.INTER_NEAREST))) <= {0, 1, 3, 255}
    columns = np.tile(np.arange(16, dtype=np.uint8), (16, 1))
    halved = Augmentation(0, 0, 1, 1, (8, 8)).geometry(columns, cv2.INTER_NEAREST)[0]
    mirrored = Augmentation(0, 0, 1, 1, (8, 8), flip=True).geometry(columns, cv2.INTER_NEAREST)[0]
    assert np.abs(halved - (2 * np.arange(8) + 0.5)).max() == 0.5
    assert mirrored.tolist() == halved[::-1].tolist()


def test_shrinking_averages_instead_of_dropping_pixels() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert np.abs(whole((32, 32)).geometry(stripes).astype(int) - 128).max() <= 1


def test_photometric_changes_are_drawn_for_each_modality() -> None:
    augs = some(40, jitter=0.3)
    assert len({aug.visible for aug in augs}) == len({aug.infrared for aug in augs}) == 40
    gains = np.array([[aug.visible[0], aug.infrared[0]] for aug in augs])
    assert 0.7 <= gains.min() < 0.8 and 1.2 < gains.max() <= 1.3
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.5


def test_photometric_values_of_hand_made_parameters() -> None:
    aug = Augmentation(0, 0, 1, 1, (1, 1), visible=(1.5, 0.1, 2.0, 0.0), infrared=(0.5, -0.1, 1.0))
    colour = np.array([[[0.2, 0.4, 0.6]]], np.float32)
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6  # saturation 0
    assert aug.photometric_visible(colour)[0, 0] == pytest.approx([1.5 * grey**2 + 0.1] * 3, abs=1e-6)
    assert aug.photometric_infrared(np.array([[0.8, 0.1]], np.float32))[0] == pytest.approx([0.3, 0.0], abs=1e-6)
    assert aug.photometric_visible(np.ones((1, 1, 3), np.float32)).max() == 1


def test_without_jitter_the_image_is_left_alone() -> None:
    aug = some(1)[0]
    image = np.random.default_rng(0).random((4, 4, 3), np.float32)
    assert aug.photometric_visible(image) is image
    assert aug.photometric_infrared(image[..., 0]).base is image

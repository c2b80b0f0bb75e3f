"""Parts of a mask that were drawn on the infrared image move with it, the others stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldfusion.registration.label_frames import place_on_visible

OFF = (4, -3)
"""Pixels (x, y) at which the infrared image, before it was aligned, showed what the visible one shows at 0."""
SIZE = (90, 120)
FLOW = torch.tensor(OFF, dtype=torch.float32).view(2, 1, 1).expand(2, *SIZE)


def boxes(*places: tuple[int, int, int, int]) -> np.ndarray:
    """1 in boxes (left, top, width, height)."""
    image = np.zeros(SIZE, np.uint8)
    for left, top, width, height in places:
        image[top : top + height, left : left + width] = 1
    return image


FIRST, SECOND, THIRD = (15, 20, 14, 30), (60, 35, 30, 20), (40, 60, 8, 8)


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Three objects, visible and infrared, aligned; the noise of both is small."""
    rng = np.random.default_rng(0)
    shown = 0.3 + 0.4 * boxes(FIRST, SECOND, THIRD)
    visible, infrared = (torch.from_numpy(shown + rng.normal(0, 0.01, SIZE)).float().clamp(0, 1) for _ in range(2))
    return visible.expand(1, 3, -1, -1), infrared[None, None]


def away(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return box[0] + OFF[0], box[1] + OFF[1], box[2], box[3]


def test_each_part_gets_its_place(images: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A person was drawn on the infrared image, the car and a cone on the visible one."""
    labels = 2 * boxes(away(FIRST)) + 1 * boxes(SECOND) + 7 * boxes(THIRD)
    labels[:, -2:] = 255
    placed, moved = place_on_visible(labels, *images, FLOW)
    expected = 2 * boxes(FIRST) + 1 * boxes(SECOND) + 7 * boxes(THIRD)
    expected[:, -2:] = 255
    assert moved == 1 and np.array_equal(placed, expected)


def test_parts_of_one_class_are_decided_apart(images: tuple[torch.Tensor, torch.Tensor]) -> None:
    labels = 2 * boxes(away(FIRST), SECOND, away(THIRD))
    placed, moved = place_on_visible(labels, *images, FLOW)
    assert moved == 2 and np.array_equal(placed, 2 * boxes(FIRST, SECOND, THIRD))


def test_where_nothing_speaks_for_it_a_part_stays() -> None:
    labels = 3 * boxes((50, 30, 20, 20))
    flat = torch.full((1, 3, *SIZE), 0.5)
    placed, moved = place_on_visible(labels, flat, flat[:, :1], FLOW)
    assert moved == 0 and np.array_equal(placed, labels)
    # a part that would leave the image
    corner = boxes((0, 86, 4, 4))
    placed, moved = place_on_visible(corner, flat, flat[:, :1], FLOW)
    assert moved == 0 and np.array_equal(placed, corner)


def test_a_mask_without_objects(images: tuple[torch.Tensor, torch.Tensor]) -> None:
    empty = np.zeros(SIZE, np.uint8)
    placed, moved = place_on_visible(empty, *images, FLOW)
    assert moved == 0 and not placed.any()

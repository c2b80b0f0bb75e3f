"""The registration by edge directions, on drawings whose two modalities share edges but no levels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.evaluation.registration import corner_error
from ldfusion.registration.edges import edge_agreement, search
from ldfusion.registration.methods import load_registrar
from ldfusion.registration.polish import EdgeRegistrar, polish
from ldfusion.registration.warp import invert, warp_image

SIZE = (192, 256)


def drawing(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Visible (1, 3, H, W) of blurred rectangles, and infrared with every rectangle at another level."""
    rng = np.random.default_rng(seed)
    visible, infrared = np.full((*SIZE, 3), 90, np.uint8), np.full(SIZE, 60, np.uint8)
    for _ in range(70):
        x, y = (int(v) for v in rng.integers(0, [SIZE[1], SIZE[0]]))
        box = np.array(cv2.boxPoints(((x, y), tuple(rng.uniform(8, 60, 2)), rng.uniform(0, 90)))).astype(np.int32)
        cv2.fillPoly(visible, [box], [int(v) for v in rng.integers(20, 230, 3)])
        cv2.fillPoly(infrared, [box], int(rng.integers(20, 230)))
    first, second = (cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32) / 255 for image in (visible, infrared))
    return torch.from_numpy(first).permute(2, 0, 1)[None], torch.from_numpy(second)[None, None]


def camera(scale: float, angle: float, x: float, y: float, tilt: float = 0.0) -> np.ndarray:
    """Infrared -> visible pixels: about the centre of the frame."""
    centre = np.array([[1, 0, (SIZE[1] - 1) / 2], [0, 1, (SIZE[0] - 1) / 2], [0, 0, 1]])
    c, s = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    middle = np.array([[c, -s, x], [s, c, y], [tilt, -tilt, 1]])
    matrix = centre @ middle @ np.linalg.inv(centre)
    return matrix / matrix[2, 2]


def moved(truth: np.ndarray, seed: int = 0) -> tuple[Tensor, Tensor]:
    visible, infrared = drawing(seed)
    return visible, warp_image(infrared, invert(truth), SIZE)


@pytest.mark.parametrize(("scale", "angle", "x", "y"), [(0.8, 0, 12, -9), (1.25, 3, -20, 14), (1.0, -6, 0, 0)])
def test_the_search_finds_the_cell(scale: float, angle: float, x: float, y: float) -> None:
    truth = camera(scale, angle, x, y)
    best, *others = search(*moved(truth))
    assert corner_error(best.matrix, truth, SIZE) < 8
    assert best.agreement > 1.3 * max(other.agreement for other in others)
    assert all(corner_error(other.matrix, best.matrix, SIZE) > 10 for other in others)


def test_the_polish_ends_within_a_pixel() -> None:
    truth = camera(1.1, 2, 8, -5, tilt=2e-4)
    pair = moved(truth)
    start = camera(1.12, 1.4, 10, -7)
    found = polish(*pair, start)
    assert corner_error(start, truth, SIZE) > 3
    assert corner_error(found.matrix, truth, SIZE) < 1.0
    assert found.agreement > 0.75


def test_frames_of_a_clip_decide_together() -> None:
    truth = camera(0.9, -3, 15, 6)
    parts = []
    for k in range(3):  # each frame shows another third of the scene
        visible, infrared = moved(truth, seed=0)
        hidden = infrared.clone()
        hidden[..., : k * 64] = 0.5
        hidden[..., (k + 1) * 64 + 64 :] = 0.5
        parts.append((visible, hidden))
    both = tuple(torch.cat(side) for side in zip(*parts, strict=True))
    registration = EdgeRegistrar()(both[0], both[1])
    assert registration.trusted
    assert corner_error(registration.matrix, truth, SIZE) < 1.5


def test_registrar_of_other_sizes_and_its_trust() -> None:
    truth = camera(0.95, 3, -10, 4)
    visible, infrared = moved(truth)
    small = torch.nn.functional.interpolate(infrared, scale_factor=0.5, mode="area")
    found = load_registrar("edges")(visible, small)
    scale = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])  # small -> large pixels
    assert found.trusted and found.model == "homography"
    assert corner_error(found.matrix, truth @ scale, (96, 128)) < 1.5
    plain = load_registrar("edges", model="affine")(visible, small)
    assert plain.model == "affine" and np.allclose(plain.matrix[2], [0, 0, 1])
    assert corner_error(plain.matrix, truth @ scale, (96, 128)) < 1.5
    with pytest.raises(InputError, match="registration model: unknown 'rigid'"):
        load_registrar("edges", model="rigid")
    assert found.score > 0.6


@pytest.mark.slow  # five whole searches, each as long as the two of the test before
def test_other_drawings_are_not_trusted() -> None:
    truth = camera(0.95, 3, -10, 4)
    visible, _ = drawing()
    # drawings of boxes are much alike: one of five may pass, natural scenes hardly ever do
    strangers = [EdgeRegistrar()(visible, moved(truth, seed)[1]) for seed in range(1, 6)]
    assert sum(stranger.trusted for stranger in strangers) <= 1
    assert 0.6 > 1.5 * max(stranger.score for stranger in strangers)


def test_pictures_without_edges_are_not_trusted() -> None:
    visible, _ = drawing()
    for flat in (torch.full((1, 1, *SIZE), 0.5), torch.zeros(1, 1, 40, 50)):
        registration = EdgeRegistrar()(visible, flat)
        assert not registration.trusted and np.isfinite(registration.matrix).all()
        assert edge_agreement(visible, torch.full((1, 1, *SIZE), 0.5)) == 0.0

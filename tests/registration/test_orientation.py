from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.registration.ascent import transforms
from ldfusion.registration.directions import DIRECTIONS, detail, edge_directions, smooth
from ldfusion.registration.methods import load_registrar
from ldfusion.registration.orientation import (
    OrientationRegistrar,
    confidence,
    to_matrix,
    to_parameters,
)
from ldfusion.registration.warp import corners, transform_points


def error(found: np.ndarray, truth: np.ndarray, size: tuple[int, int]) -> float:
    away = transform_points(found, corners(size)) - transform_points(truth, corners(size))
    return float(np.linalg.norm(away, axis=1).mean())


Misaligned = Callable[[int], tuple[torch.Tensor, torch.Tensor, np.ndarray]]
TwoSensors = Callable[[int, int, int], tuple[torch.Tensor, torch.Tensor]]


@pytest.mark.parametrize("seed", [0, 1])
def test_two_sensors_with_unlike_grey_values_are_registered(seed: int, misaligned: Misaligned) -> None:
    fixed, moving, truth = misaligned(seed)
    before = error(np.eye(3), truth, (240, 320))
    found = OrientationRegistrar()(fixed, moving)
    assert before > 15
    assert error(found.matrix, truth, (240, 320)) < 2.5
    assert found.model == "homography" and found.trusted and found.score > 0.9


def test_sizes_of_the_files_do_not_matter(misaligned: Misaligned) -> None:
    fixed, moving, truth = misaligned(2)
    small = torch.nn.functional.interpolate(moving, scale_factor=0.5, mode="bilinear", antialias=True)
    found = load_registrar("orientation", model="affine")(fixed, small)
    half = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    assert found.model == "affine" and np.allclose(found.matrix[2], [0, 0, 1])
    assert error(found.matrix, truth @ half, (120, 160)) < 8  # an affine transform of a projective truth


@pytest.mark.slow  # where nothing agrees every start is followed to its end, twice; `refine` is tested on such pairs
def test_images_of_different_scenes_are_not_trusted(two_sensors: TwoSensors) -> None:
    visible, _ = two_sensors(240, 320, 3)
    _, infrared = two_sensors(240, 320, 4)
    found = OrientationRegistrar()(visible, infrared)
    assert not found.trusted and found.score < 0.3
    flat = OrientationRegistrar()(torch.full((1, 3, 96, 128), 0.4), torch.full((1, 1, 96, 128), 0.6))
    assert not flat.trusted and np.isfinite(flat.matrix).all()


def test_a_start_is_refined(misaligned: Misaligned) -> None:
    fixed, moving, truth = misaligned(5)
    near = np.array([[1, 0, 6], [0, 1, -5], [0, 0, 1.0]]) @ truth
    found = OrientationRegistrar().refine(fixed, moving, near)
    assert error(near, truth, (240, 320)) > 7
    assert error(found.matrix, truth, (240, 320)) < 2.5


def test_polish_goes_the_last_pixels(misaligned: Misaligned) -> None:
    fixed, moving, truth = misaligned(5)
    near = np.array([[1, 0, 3], [0, 1, -2], [0, 0, 1.0]]) @ truth
    found = OrientationRegistrar().polish(fixed, moving, near)
    assert error(near, truth, (240, 320)) > 3
    assert error(found, truth, (240, 320)) < 2


def test_parameters_and_matrices_are_the_same_transform() -> None:
    assert torch.equal(transforms(torch.zeros(1, 8)), torch.eye(3)[None])
    covering = to_matrix(torch.zeros(1, 8), (240, 320), (100, 200))
    assert transform_points(covering, np.array([[99.5, 49.5]]))[0] == pytest.approx([159.5, 119.5])
    assert covering[0, 0] == covering[1, 1] == pytest.approx(2.4)
    parameters = torch.tensor([[0.1, -0.05, 0.15, math.log(0.8), 0.04, 0.0, 0.03, -0.02]])
    matrix = to_matrix(parameters, (240, 320), (100, 200))
    assert to_parameters(matrix, (240, 320), (100, 200)) == pytest.approx(parameters, abs=1e-3)


def test_directions_have_no_sign_and_no_contrast() -> None:
    _, x = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    image = 0.5 + 0.3 * torch.sign(x - 30)[None, None]
    everywhere = torch.ones_like(image)
    maps, seen = edge_directions(image, everywhere)
    assert maps.shape == (1, DIRECTIONS, 60, 60) and seen.min() == 1 and 0 <= maps.min() and maps.max() < 1
    assert maps[0, :, 30, 30].argmax() == 0 and maps[0, 3, 30, 30] < 1e-3  # across, not along
    assert maps[..., :20].max() < 1e-3
    reversed_, _ = edge_directions(1 - 0.5 * image, everywhere)
    assert torch.allclose(reversed_, maps, atol=0.06)
    hidden = everywhere.clone()
    hidden[..., 40:] = 0
    _, seen = edge_directions(image, hidden)
    assert seen[..., :38].min() == 1 and seen[..., 38:].max() == 0


def test_smoothing_keeps_the_sum_and_detail_drops_what_is_even() -> None:
    point = torch.zeros(1, 2, 81, 81)
    point[..., 40, 40] = 1
    for sigma in (1.0, 3.0):
        assert smooth(point, sigma).sum().item() == pytest.approx(2, rel=1e-3)
    assert smooth(point, 3.0)[0, 0, 40, 40].item() == pytest.approx(1 / (2 * math.pi * 9), rel=0.02)
    even = torch.full((1, 1, 60, 60), 0.7)
    assert detail(even, torch.ones_like(even), 1.0)[..., 20:-20, 20:-20].abs().max() < 0.01


def test_confidence_rises_with_the_correlation() -> None:
    values = [confidence(w) for w in (-1.0, 0.05, 0.12, 0.2, 1.0)]
    assert values == sorted(values) and values[0] < 1e-6 and values[2] == pytest.approx(0.5) and values[-1] > 0.999
    with pytest.raises(InputError, match="did you mean 'homography'"):
        OrientationRegistrar("homografy")

"""Warps against OpenCV, conversions, masks and the fill rule."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ldfusion.registration import warp
from ldfusion.types import Registration

HOMOGRAPHY = np.array([[0.9, 0.08, 6.0], [-0.05, 1.1, -4.0], [2e-4, -3e-4, 1.0]])


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    noise = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    return torch.from_numpy(cv2.GaussianBlur(noise, (0, 0), 2))[None, None]


def test_identity_changes_nothing(image: torch.Tensor) -> None:
    assert torch.allclose(warp.warp_image(image, np.eye(3), (60, 80)), image, atol=1e-6)
    assert torch.allclose(warp.warp_flow(image, torch.zeros(2, 60, 80)), image, atol=1e-6)
    assert warp.valid_mask(np.eye(3), (60, 80), (60, 80)).all()


def test_shift_moves_content_to_the_right_and_down(image: torch.Tensor) -> None:
    matrix = np.array([[1.0, 0, 5], [0, 1, 3], [0, 0, 1]])
    warped = warp.warp_image(image, matrix, (60, 80))
    assert torch.allclose(warped[..., 3:, 5:], image[..., :-3, :-5], atol=1e-5)
    mask = warp.valid_mask(matrix, (60, 80), (60, 80))[0, 0]
    assert mask[3:, 5:].all() and not mask[:3].any() and not mask[:, :5].any()
    assert torch.allclose(warp.matrix_to_flow(matrix, (4, 4))[:, 1, 2], torch.tensor([-5.0, -3.0]))


def test_transforms_are_apart_by_what_is_seen_of_them() -> None:
    shift = np.array([[1.0, 0, 3], [0, 1, 4], [0, 0, 1]])
    assert warp.apart_inside(shift, np.eye(3), (60, 80), (60, 80)) == pytest.approx(5)
    assert warp.apart_inside(HOMOGRAPHY, HOMOGRAPHY, (60, 80), (60, 80)) == pytest.approx(0, abs=1e-9)
    # far outside of the visible image they differ a lot, inside of it by nothing much
    tilt = np.array([[1.0, 0, 0], [0, 1, 0], [1e-5, 0, 1]])
    wide, narrow = (300, 4000), (60, 80)
    assert warp.apart_inside(tilt, np.eye(3), wide, narrow) < 0.1 < warp.apart(tilt, np.eye(3), wide)
    away = np.array([[1.0, 0, 500], [0, 1, 0], [0, 0, 1]])
    assert warp.apart_inside(np.eye(3), away, (60, 80), (60, 80)) == np.inf


@pytest.mark.parametrize("kind", ["rotation", "homography"])
def test_agrees_with_opencv(image: torch.Tensor, kind: str) -> None:
    matrix = HOMOGRAPHY if kind == "homography" else np.vstack([cv2.getRotationMatrix2D((40, 30), 9, 1.1), [0, 0, 1]])
    size = (70, 90)
    points = warp.sampling_points(matrix, size).numpy()
    expected = cv2.remap(image[0, 0].numpy(), points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    reference = cv2.warpPerspective(image[0, 0].numpy(), matrix, size[::-1], borderMode=cv2.BORDER_REPLICATE)
    warped = warp.warp_image(image, matrix, size)[0, 0].numpy()
    assert np.abs(warped - expected).max() < 4e-3  # OpenCV rounds positions to 1/32 pixel
    assert np.abs(warped - reference).max() < 4e-3
    assert torch.equal(warp.warp_flow(image, warp.matrix_to_flow(matrix, size)) > -1, torch.ones(1, 1, *size) > 0)
    assert np.abs(warp.warp_flow(image, warp.matrix_to_flow(matrix, size))[0, 0].numpy() - warped).max() < 1e-4


def test_theta_and_matrix_round_trip_and_match_affine_grid(image: torch.Tensor) -> None:
    moving, fixed = (60, 80), (50, 100)
    theta = warp.matrix_to_theta(HOMOGRAPHY, moving, fixed)
    assert np.allclose(warp.theta_to_matrix(theta, moving, fixed), HOMOGRAPHY, atol=1e-10)
    affine = np.array([[0.8756, -0.0383, -0.0920], [0.0079, 0.9047, 0.0439]])
    grid = F.affine_grid(torch.tensor(affine, dtype=torch.float32)[None], [1, 1, *fixed], align_corners=True)
    expected = F.grid_sample(image, grid, padding_mode="border", align_corners=True)
    warped = warp.warp_image(image, warp.theta_to_matrix(affine, moving, fixed), fixed)
    assert torch.allclose(warped, expected, atol=1e-5)


def test_there_and_back(image: torch.Tensor) -> None:
    there = warp.warp_image(image, HOMOGRAPHY, (90, 110))
    back = warp.warp_image(there, np.linalg.inv(HOMOGRAPHY), (60, 80))
    seen = warp.valid_mask(HOMOGRAPHY, (60, 80), (90, 110)).float()
    inner = warp.warp_image(seen, np.linalg.inv(HOMOGRAPHY), (60, 80)) > 0.999
    inner &= warp.valid_mask(np.linalg.inv(HOMOGRAPHY), (90, 110), (60, 80))
    assert inner.float().mean() > 0.7
    assert (back - image).abs()[inner].max() < 0.03


def test_resize_matrix_is_a_resize(image: torch.Tensor) -> None:
    matrix = warp.resize_matrix((60, 80), (120, 160))
    expected = F.interpolate(image, (120, 160), mode="bilinear", align_corners=False)
    assert torch.allclose(warp.warp_image(image, matrix, (120, 160)), expected, atol=1e-5)


def test_points_behind_the_horizon_are_invalid() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1, 0], [0.02, 0, 1]])  # moving x = inf lies at fixed x = 50
    mask = warp.valid_mask(matrix, (60, 80), (60, 80))[0, 0]
    assert mask[10, :30].all() and not mask[:, 51:].any()
    assert torch.isfinite(warp.warp_image(torch.rand(1, 1, 60, 80), matrix, (60, 80))).all()


def test_points_and_corners() -> None:
    moved = warp.transform_points(HOMOGRAPHY, warp.corners((60, 80)))
    expected = cv2.perspectiveTransform(warp.corners((60, 80))[None], HOMOGRAPHY)[0]
    assert np.allclose(moved, expected)
    assert warp.corners((60, 80))[2].tolist() == [79, 59]


def test_flow_registration_warps_and_checks_its_size() -> None:
    flow = torch.full((2, 40, 50), 1.0)
    registration = Registration(np.eye(3), "flow", 0.5, True, flow)
    image = torch.arange(50.0).expand(1, 1, 40, 50)
    warped, mask = warp.apply_registration(registration, image, (40, 50))
    assert torch.allclose(warped[0, 0, 5, :49], torch.arange(1.0, 50.0), atol=1e-4)
    assert mask[0, 0, :39, :49].all() and not mask[..., 49].any() and not mask[..., 39, :].any()
    with pytest.raises(ValueError, match="the flow is"):
        warp.apply_registration(registration, image, (41, 50))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"matrix": np.zeros((3, 3))}, "invertible"),
        ({"model": "spline"}, "spline"),
        ({"score": 1.2}, "0..1"),
        ({"model": "flow"}, "flow"),
        ({"model": "flow", "flow": torch.zeros(3, 4, 4)}, r"\(2, H, W\)"),
    ],
)
def test_impossible_registrations_are_refused(change: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Registration(**({"matrix": np.eye(3), "model": "affine", "score": 0.5, "trusted": True} | change))


def test_the_mean_transform_puts_corners_half_way() -> None:
    size = (60, 80)
    other = np.array([[1.02, 0.0, -3.0], [0.01, 0.97, 2.0], [-1e-4, 2e-4, 1.0]]) @ HOMOGRAPHY
    mean = warp.mean_transform([HOMOGRAPHY, other], size)
    places = [warp.transform_points(matrix, warp.corners(size)) for matrix in (HOMOGRAPHY, other, mean)]
    assert np.allclose((places[0] + places[1]) / 2, places[2], atol=1e-3) and mean[2, 2] == 1
    shift = np.array([[1.0, 0, 4], [0, 1, -2], [0, 0, 1]])
    assert np.allclose(warp.mean_transform([np.eye(3), shift], size), [[1, 0, 2], [0, 1, -1], [0, 0, 1]])
    assert warp.mean_transform([np.eye(3), shift], size)[2].tolist() == [0, 0, 1]
    assert warp.apart(np.eye(3), shift, size) == pytest.approx(np.hypot(4, 2))

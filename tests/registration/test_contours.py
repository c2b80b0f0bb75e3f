from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ldfusion.registration.contours import CONTOURS, canny_thresholds, gaussian_blur, local_edges, sobel_magnitude


def picture(height: int = 45, width: int = 61, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    blobs = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 3)
    blobs = (blobs - blobs.min()) / (blobs.max() - blobs.min())
    return torch.from_numpy(blobs)[None, None]


def test_gaussian_and_sobel_are_those_of_opencv() -> None:
    image = picture()
    array = image[0, 0].numpy()
    assert np.abs(gaussian_blur(image)[0, 0].numpy() - cv2.GaussianBlur(array, (7, 7), 0.5)).max() < 1e-5
    gx, gy = cv2.Sobel(array, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(array, cv2.CV_32F, 0, 1, ksize=3)
    assert np.abs(sobel_magnitude(image)[0, 0].numpy() - np.hypot(gx, gy)).max() < 1e-5


def test_a_step_of_the_full_range_is_a_contour_of_nearly_one() -> None:
    image = torch.zeros(1, 1, 20, 20)
    image[..., 10:] = 1
    found = CONTOURS["contours"](image)[0, 0]
    taps = np.exp(-(np.array([-1, 0, 1]) ** 2) / 0.5)  # sigma 0.5: more than a pixel away nothing is left
    inner = taps[:2].sum() / taps.sum()
    assert found[5, 9].item() == pytest.approx(inner, abs=2e-3) and found[5, 10].item() == pytest.approx(
        inner, abs=2e-3
    )
    assert found[:, :6].max() < 1e-6 and found[:, 14:].max() < 1e-6
    assert CONTOURS["laplacian"](image)[0, 0, 5, 9] > 0.1
    # a ramp has a gradient but no second derivative
    ramp = torch.linspace(0, 1, 20).expand(1, 1, 20, 20)
    assert CONTOURS["laplacian"](ramp)[..., 4:-4].max() < 1e-6 < CONTOURS["contours"](ramp)[..., 4:-4].min()


def test_canny_thresholds_lie_around_the_median() -> None:
    assert canny_thresholds(np.full((4, 4), 100, np.uint8)) == pytest.approx((67, 133))
    assert canny_thresholds(np.full((4, 4), 230, np.uint8)) == pytest.approx((154.1, 255))
    assert canny_thresholds(np.zeros((4, 4), np.uint8)) == (0, 1)


def test_canny_and_adaptive_are_those_of_opencv_on_8_bits() -> None:
    image = picture()
    codes = (gaussian_blur(image)[0, 0] * 255).round().to(torch.uint8).numpy()
    low, high = canny_thresholds(codes)
    assert np.array_equal(CONTOURS["canny"](image)[0, 0].numpy() > 0, cv2.Canny(codes, low, high) > 0)
    dark = cv2.adaptiveThreshold(codes, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV, 11, 2) > 0
    assert np.array_equal(CONTOURS["adaptive"](image)[0, 0].numpy() > 0, dark)
    assert 0 < dark.mean() < 1


@pytest.mark.parametrize("name", CONTOURS)
def test_shape_range_and_batch(name: str) -> None:
    images = torch.cat([picture(seed=1), picture(seed=2)])
    found = CONTOURS[name](images)
    assert found.shape == images.shape and found.dtype == torch.float32
    assert 0 <= found.min() and found.max() <= 1 and found.std() > 0.1 * found.max()
    assert torch.allclose(found[1:], CONTOURS[name](images[1:]), atol=1e-6)
    assert CONTOURS[name](torch.full((1, 1, 40, 40), 0.5)).max() < 1e-5


def test_local_edges_do_not_depend_on_the_contrast() -> None:
    image = picture(90, 90)
    plain, faint = local_edges(image), local_edges(0.4 * image + 0.3)
    correlation = torch.corrcoef(torch.stack([plain.flatten(), faint.flatten()]))[0, 1]
    assert correlation > 0.97
    assert (plain - faint).abs().mean() < 0.25 * plain.mean()
    weaker = CONTOURS["contours"](0.4 * image + 0.3).mean() / CONTOURS["contours"](image).mean()
    assert weaker == pytest.approx(0.4, abs=0.01)

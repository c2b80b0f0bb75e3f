from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ldfusion.evaluation.metrics import spatial_frequency
from ldfusion.fusion.classical import laplacian_fusion, maximum_fusion, mean_fusion
from ldfusion.io.color import luma, rgb_to_ycbcr


def pair(height: int = 45, width: int = 62, low: float = 0.0, high: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    visible = low + (high - low) * torch.rand(2, 3, height, width, generator=generator)
    return visible, low + (high - low) * torch.rand(2, 1, height, width, generator=generator)


def test_mean_of_luma_in_the_colours_of_the_visible_image() -> None:
    visible, infrared = pair(low=0.4, high=0.6)  # mid-range, so that no colour leaves [0, 1]
    fused = mean_fusion(visible, infrared)
    torch.testing.assert_close(luma(fused), (luma(visible) + infrared) / 2)
    torch.testing.assert_close(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:])


def test_maximum_is_the_brighter_of_both_in_the_colours_of_the_visible_image() -> None:
    grey = torch.tensor([[0.1, 0.5], [0.3, 0.2]]).view(1, 1, 2, 2)
    infrared = torch.tensor([[0.2, 0.4], [0.3, 0.7]]).view(1, 1, 2, 2)
    assert maximum_fusion(grey, infrared).flatten().tolist() == pytest.approx([0.2, 0.5, 0.3, 0.7])
    visible, infrared = pair(low=0.4, high=0.6)
    fused = maximum_fusion(visible, infrared)
    torch.testing.assert_close(luma(fused), torch.maximum(luma(visible), infrared))
    torch.testing.assert_close(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:])


def test_stretched_maximum_spans_the_range_of_each_image() -> None:
    grey = torch.tensor([[[0.1, 0.5]], [[0.3, 0.3]]]).unsqueeze(1)
    infrared = torch.tensor([[[0.2, 0.4]], [[0.7, 0.3]]]).unsqueeze(1)
    assert maximum_fusion(grey, infrared, stretched=True).flatten().tolist() == pytest.approx([0, 1, 1, 0])
    assert maximum_fusion(grey[:, :, :, :1], infrared[:, :, :, :1], stretched=True).flatten().tolist() == (
        pytest.approx([0.2, 0.7])  # a single value has no range
    )
    visible = torch.tensor([0.5, 0.4, 0.45]).view(1, 3, 1, 1).expand(1, 3, 1, 3)
    infrared = torch.tensor([0.5, 0.6, 0.7]).view(1, 1, 1, 3)
    fused = maximum_fusion(visible, infrared, stretched=True)
    assert luma(fused)[0, 0, 0, 1].item() == pytest.approx(0.5)
    torch.testing.assert_close(rgb_to_ycbcr(fused)[0, 1:, 0, 1], rgb_to_ycbcr(visible)[0, 1:, 0, 1])


def test_pyramid_matches_opencv() -> None:
    infrared, grey = (image[:1, :1] for image in reversed(pair()))
    first, second = grey[0, 0].numpy(), infrared[0, 0].numpy()
    details = []
    for _ in range(4):
        halves = [cv2.pyrDown(image) for image in (first, second)]
        one, other = (
            image - cv2.pyrUp(half, dstsize=image.shape[::-1])
            for image, half in zip((first, second), halves, strict=True)
        )
        details.append(np.where(np.abs(one) >= np.abs(other), one, other))
        first, second = halves
    expected = (first + second) / 2
    for detail in reversed(details):
        expected = cv2.pyrUp(expected, dstsize=detail.shape[::-1]) + detail
    np.testing.assert_allclose(laplacian_fusion(grey, infrared)[0, 0].numpy(), expected.clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 9)])
def test_identical_images_come_back(size: tuple[int, int]) -> None:
    visible, _ = pair(*size)
    torch.testing.assert_close(laplacian_fusion(visible, luma(visible)), visible, atol=1e-5, rtol=0)
    torch.testing.assert_close(mean_fusion(visible, luma(visible)), visible, atol=1e-5, rtol=0)
    torch.testing.assert_close(maximum_fusion(visible, luma(visible)), visible, atol=1e-5, rtol=0)


def test_pyramid_keeps_more_detail_than_the_mean() -> None:
    visible, infrared = pair()
    grey = luma(visible)
    sharp, soft = (spatial_frequency(255 * fuse(grey, infrared)) for fuse in (laplacian_fusion, mean_fusion))
    assert (sharp > soft).all()

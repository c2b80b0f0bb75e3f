from __future__ import annotations

import cv2
import numpy as np
import torch

from ldfusion.io.filters import box_mean, guided_filter, local_contrast


def golden_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """The smooth 192x208 pair whose zero-learning values are known, codes 0..255."""
    i, j = torch.meshgrid(torch.arange(192.0), torch.arange(208.0), indexing="ij")
    first = torch.round(127.5 + 100 * torch.sin(i / 9) * torch.cos(j / 7))
    return first.double(), torch.round(120 + 90 * torch.sin((i + 2 * j) / 15)).double()


def saliency(codes: torch.Tensor) -> torch.Tensor:
    """Histogram contrast, sum over k of h(k) |x - k| (Lahoud and Suesstrunk 2019)."""
    histogram = torch.bincount(codes.long().flatten(), minlength=256).double() / codes.numel()
    k = torch.arange(256).double()
    return ((k[:, None] - k).abs() @ histogram)[codes.long()]


def test_golden_weights_of_zero_learning_fusion():
    first, second = golden_pair()
    weight = saliency(first) / (saliency(first) + saliency(second))
    assert abs(weight.mean() - 0.438362) < 1e-6
    refined = guided_filter(first[None, None] / 255, weight[None, None], 45, 0.01)
    other = guided_filter(second[None, None] / 255, 1 - weight[None, None], 45, 0.01)
    refined = refined / (refined + other)
    assert abs(refined.mean() - 0.438361) < 1e-6
    assert abs(refined.min() - 0.432547) < 1e-6
    assert abs(refined.max() - 0.449457) < 1e-6


def test_box_mean_is_opencvs_with_a_repeated_border():
    image = np.random.default_rng(0).random((37, 53))
    want = cv2.blur(image, (11, 11), borderType=cv2.BORDER_REFLECT)
    assert np.allclose(box_mean(torch.from_numpy(image)[None, None], 5)[0, 0].numpy(), want, atol=1e-12)


def test_radius_larger_than_the_image():
    assert box_mean(torch.full((1, 1, 5, 7), 0.25), 30).sub(0.25).abs().max() < 1e-6


def test_local_contrast_lifts_texture_and_leaves_edges_and_flat_parts_alone():
    flat = torch.full((1, 1, 64, 64), 0.4)
    assert torch.allclose(local_contrast(flat, 0.5), flat, atol=1e-5)
    texture = 0.4 + 0.02 * torch.sin(torch.arange(64) * 1.5).expand(1, 1, 64, 64)
    assert 1.4 < local_contrast(texture, 0.5).std() / texture.std() < 1.6
    edge = torch.cat([torch.full((1, 1, 64, 32), 0.1), torch.full((1, 1, 64, 32), 0.9)], dim=3)
    lifted = local_contrast(edge, 0.5)
    assert (lifted - edge).abs().max() < 0.05  # an unsharp mask of this gain would overshoot by 0.2
    assert torch.equal(local_contrast(texture, 0.0), texture)

"""Contours of grey images, as inputs on which a transform is found.

Images are ``(B, 1, H, W)`` float32 in [0, 1]; so are the results, of the same size. Borders are mirrored without
repeating the edge, as OpenCV does by default. The first four are those of the registration papers (contour experiment:
Gaussian 7x7 of sigma 0.5, then Sobel magnitude; Canny with thresholds around the median); ``edges`` is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io import filters

GAUSSIAN_SIZE, GAUSSIAN_SIGMA = 7, 0.5
CANNY_SPREAD = 0.33
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
_NEIGHBOURHOOD = 31
"""Side of the window whose mean gradient ``edges`` is measured against, pixels."""


def gaussian_blur(image: Tensor, size: int = GAUSSIAN_SIZE, sigma: float = GAUSSIAN_SIGMA) -> Tensor:
    """`ldfusion.io.filters.gaussian_blur` of (B, 1, H, W), by default that of the papers."""
    return filters.gaussian_blur(image, size, sigma)


def sobel_gradient(image: Tensor) -> Tensor:
    """Sobel derivatives (B, 2, H, W), x then y, of (B, 1, H, W), mirrored at the border."""
    return filters.sobel(image, "reflect")


def sobel_magnitude(image: Tensor) -> Tensor:
    """Length of the Sobel gradient, 0..4 sqrt(2)."""
    return sobel_gradient(image).square().sum(1, keepdim=True).sqrt()


def sobel_contours(image: Tensor) -> Tensor:
    """Gaussian, then Sobel magnitude / 4, clipped to 1: a sharp step of the full range gives 1."""
    return (sobel_magnitude(gaussian_blur(image)) / 4).clamp(max=1)


def laplacian_contours(image: Tensor) -> Tensor:
    """Gaussian, then |Laplacian| / 4 (four neighbours); a single bright pixel gives nearly 1."""
    kernel = torch.tensor(_LAPLACIAN, dtype=image.dtype, device=image.device).view(1, 1, 3, 3)
    smooth = F.pad(gaussian_blur(image), (1, 1, 1, 1), mode="reflect")
    return (F.conv2d(smooth, kernel).abs() / 4).clamp(max=1)


def canny_thresholds(codes: NDArray[np.uint8], spread: float = CANNY_SPREAD) -> tuple[float, float]:
    """(1 - spread) and (1 + spread) times the median of an 8-bit image, within 0..255.

    A frame whose median is black would get two zeros, and with them an edge at every pixel of noise: the upper one is
    one code at least.
    """
    median = float(np.median(codes))
    return max(0.0, (1 - spread) * median), min(255.0, max(1.0, (1 + spread) * median))


def canny_contours(image: Tensor) -> Tensor:
    """Gaussian, then Canny with the thresholds of `canny_thresholds`; 0 or 1."""

    def one(codes: NDArray[np.uint8]) -> NDArray[Any]:
        low, high = canny_thresholds(codes)
        return np.asarray(cv2.Canny(codes, low, high))

    return _on_codes(gaussian_blur(image), one)


def adaptive_contours(image: Tensor, block: int = 11, offset: int = 2) -> Tensor:
    """Gaussian, then 1 where a pixel is darker than the Gaussian mean of its ``block`` minus ``offset`` codes."""

    def one(codes: NDArray[np.uint8]) -> NDArray[Any]:
        method = cv2.ADAPTIVE_THRESH_GAUSSIAN_C
        return np.asarray(cv2.adaptiveThreshold(codes, 255, method, cv2.THRESH_BINARY_INV, block, offset))

    return _on_codes(gaussian_blur(image), one)


def local_edges(image: Tensor) -> Tensor:
    """Sobel magnitude against twice its mean in the neighbourhood: how an edge stands out, whatever the contrast.

    ``m / (m + 2 mean)`` with the mean over 31x31 pixels: a faint outline in the one sensor and a strong one in the
    other become alike, which the plain magnitude leaves far apart.
    """
    magnitude = sobel_magnitude(gaussian_blur(image, sigma=1.0))
    half = _NEIGHBOURHOOD // 2
    # zeros of the padding are not counted: a border is not an edge-free neighbourhood
    mean = F.avg_pool2d(magnitude, (_NEIGHBOURHOOD, 1), 1, (half, 0), count_include_pad=False)
    mean = F.avg_pool2d(mean, (1, _NEIGHBOURHOOD), 1, (0, half), count_include_pad=False)
    # one grey code of gradient is noise
    return magnitude / (magnitude + 2 * mean + 4 / 255)


CONTOURS: dict[str, Callable[[Tensor], Tensor]] = {
    "contours": sobel_contours,
    "canny": canny_contours,
    "adaptive": adaptive_contours,
    "laplacian": laplacian_contours,
    "edges": local_edges,
}
"""Name of an input -> its filter."""


def _on_codes(image: Tensor, function: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> Tensor:
    """Apply a function of one 8-bit image to each image of a batch; codes 255 become 1."""
    codes = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    results = np.stack([function(np.ascontiguousarray(one[0])) for one in codes])[:, None]
    return torch.from_numpy(results.astype(np.float32) / 255).to(image.device)

"""Fusion metrics that imitate the eye: Q_CB (Chen and Blum) and Q_CV (Chen and Varshney).

Both take (B, 1, H, W) luma on the 0..255 scale, the sources (1, 1, H, W) where all B images share them, and return (B,)
float64. Each image is first stretched to 0..255 and rounded, so that a constant one has no value (NaN).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma
from ldfusion.evaluation._window import blur

CB_SENSITIVITY = (15.3870, 1.3456, 0.7622)
"""f0, f1 and a of S(r) = exp(-(r / f0)^2) - a exp(-(r / f1)^2)."""
CB_FREQUENCY = 30.0
"""The image is this many degrees of sight: frequencies are -side / 30 .. side / 30."""
CB_SCALES = (2.0, 4.0)
CB_REACH = 15
CB_MASKING = 1e-4
CV_BLOCK = 16
CV_EXPONENT = 5
CV_FREQUENCY = 8.0


def qcb(
    fused: Tensor, visible: Tensor, infrared: Tensor, reach: float = 1.0, rounded: bool = True, guard: float = 0.0
) -> Tensor:
    """Q_CB: local contrast kept from the source that has more of it, 0..1 (Chen and Blum, 2009).

    Contrast sensitivity as a filter, contrast as the ratio of Gaussian means (sigma 2 over 4, 31 x 31, zeros beyond the
    border), masking |C|^3 / (C^2 + 1e-4), the ratio of the lesser to the greater contrast, weights by the square of
    each source's.

    Args:
        reach: highest frequency of the grid along each axis, 1 as in MATLAB's `freqspace`.
        rounded: round the stretched images to whole grey values.
        guard: added to the sum of the weights.
    """
    check_luma(fused, visible, infrared)
    visible_contrast, infrared_contrast, kept = (
        _masked_contrast(stretch(image, rounded), reach) for image in (visible, infrared, fused)
    )
    total = torch.zeros_like(kept)
    weights = torch.zeros_like(kept)
    for source in (visible_contrast, infrared_contrast):
        low, high = torch.minimum(source, kept), torch.maximum(source, kept)
        weight = source.square()
        # where neither has any contrast nothing is lost
        total = total + weight * torch.where(high == 0, 1.0, low / high)
        weights = weights + weight
    return torch.where(weights == 0, 1.0, total / (weights + guard)).mean((1, 2, 3))


def _masked_contrast(image: Tensor, reach: float) -> Tensor:
    f0, f1, a = CB_SENSITIVITY
    r = _frequencies(image, CB_FREQUENCY, reach)
    seen = _filter(image, torch.exp(-((r / f0) ** 2)) - a * torch.exp(-((r / f1) ** 2)))
    padded = functional.pad(seen, [CB_REACH] * 4)
    offsets = torch.arange(-CB_REACH, CB_REACH + 1, dtype=image.dtype, device=image.device)
    fine, coarse = (
        blur(padded, torch.exp(-offsets.square() / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma))
        for sigma in CB_SCALES
    )
    contrast = (fine / coarse - 1).abs()
    return contrast**3 / (contrast.square() + CB_MASKING)


def qcv(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Q_CV: visible difference to the sources where these have edges, >= 0, lower is better (Chen and Varshney, 2007).

    Blocks of 16 x 16 pixels (zeros beyond the border); a block of a source weighs the sum of the fifth powers of its
    Sobel edges; the differences pass the contrast sensitivity of Mannos and Sakrison (1974) before they are squared.
    """
    check_luma(fused, visible, infrared)
    image = stretch(fused)
    r = _frequencies(image, CV_FREQUENCY, 1.0)
    sensitivity = 2.6 * (0.0192 + 0.144 * r) * torch.exp(-((0.144 * r) ** 1.1))
    error = weights = torch.zeros(1, dtype=torch.float64, device=fused.device)
    for source in (stretch(visible), stretch(infrared)):
        weight = _block_means(_edge_strength(source) ** CV_EXPONENT)
        error = error + (weight * _block_means(_filter(source - image, sensitivity).square())).sum((1, 2, 3))
        weights = weights + weight.sum((1, 2, 3))
    return error / weights


def stretch(image: Tensor, rounded: bool = True) -> Tensor:
    """Each image to 0..255 by its own least and greatest value, float64; NaN for a constant image that is not black."""
    image = image.double()
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    stretched = (image - low) / (high - low) * 255
    return (stretched + 0.5).floor() if rounded else stretched


def _frequencies(image: Tensor, degrees: float, reach: float) -> Tensor:
    """Radial frequency (H, W) in the order of the discrete Fourier transform, up to ``reach`` side / ``degrees``."""
    height, width = image.shape[-2:]
    down, right = (
        torch.fft.fftfreq(side, dtype=image.dtype, device=image.device) * 2 * reach * side / degrees
        for side in (height, width)
    )
    return torch.hypot(down[:, None], right[None])


def _filter(image: Tensor, response: Tensor) -> Tensor:
    """The image with each frequency weighed by a real response that is even up to the highest frequency."""
    return torch.fft.ifft2(torch.fft.fft2(image) * response).real


def _edge_strength(image: Tensor) -> Tensor:
    smooth = torch.tensor([1.0, 2.0, 1.0], dtype=image.dtype, device=image.device)
    kernel = smooth[:, None] * torch.tensor([-1.0, 0.0, 1.0], dtype=image.dtype, device=image.device)
    right, down = functional.conv2d(image, torch.stack([kernel, kernel.T])[:, None], padding=1).unbind(1)
    return torch.hypot(right, down)[:, None]


def _block_means(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    padded = functional.pad(image, (0, -width % CV_BLOCK, 0, -height % CV_BLOCK))
    return functional.avg_pool2d(padded, CV_BLOCK)

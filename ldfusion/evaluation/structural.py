"""Fusion metrics from moments and structure: SD, CC, SCD, SSIM and PSNR.

All take (B, 1, H, W) luma on the 0..255 scale and return (B,) float64. A correlation with a constant image
is undefined and NaN here; `ldfusion.evaluation.suite` turns it into "n/a".
"""

from __future__ import annotations

import torch
from torch import Tensor

from ldfusion.evaluation._luma import check_luma
from ldfusion.evaluation._window import gaussian, local_moments, stack

PEAK = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def standard_deviation(fused: Tensor) -> Tensor:
    """SD = sqrt(mean (F - mean F)^2) [grey levels] (Rao, 1997)."""
    check_luma(fused)
    return fused.double().flatten(1).std(1, correction=0)


def correlation_coefficient(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """CC = mean of Pearson r(visible, F) and r(infrared, F), -1..1 (Deshmukh and Bhosale, 2010)."""
    check_luma(fused, visible, infrared)
    return (_pearson(visible, fused) + _pearson(infrared, fused)) / 2


def scd(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """SCD = r(infrared, F - visible) + r(visible, F - infrared), -2..2 (Aslantas and Bendes, 2015)."""
    check_luma(fused, visible, infrared)
    fused, visible, infrared = fused.double(), visible.double(), infrared.double()
    return _pearson(infrared, fused - visible) + _pearson(visible, fused - infrared)


def ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """SSIM(visible, F) + SSIM(infrared, F): the sum over both sources, up to 2 (Wang et al., 2004).

    11 x 11 Gaussian window of sigma 1.5, complete windows only, K = (0.01, 0.03), range 255. NaN below 11 x 11 pixels.
    """
    check_luma(fused, visible, infrared)
    if min(fused.shape[-2:]) < SSIM_WINDOW:
        return torch.full((fused.shape[0],), torch.nan, dtype=torch.float64, device=fused.device)
    images = stack(fused, visible, infrared)
    moments = local_moments(images, gaussian(SSIM_WINDOW, SSIM_SIGMA, images))
    bias, noise = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_source, mean_fused = moments.mean_sources, moments.mean_fused
    luminance = (2 * mean_source * mean_fused + bias) / (mean_source.square() + mean_fused.square() + bias)
    contrast = (2 * moments.covariance + noise) / (moments.variance_sources + moments.variance_fused + noise)
    return (luminance * contrast).mean((-2, -1)).sum(1)


def psnr(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """PSNR = 10 log10(255^2 / MSE) [dB], MSE the mean of those to the two sources.

    Many published tables hold this value plus 48.13 dB, which comes from mixing the 0..1 and 0..255 scales.
    """
    check_luma(fused, visible, infrared)
    error = [(fused.double() - source).square().mean((1, 2, 3)) for source in (visible, infrared)]
    return 10 * torch.log10(PEAK**2 / torch.stack(error).mean(0))


def _pearson(first: Tensor, second: Tensor) -> Tensor:
    first, second = first.double().flatten(1), second.double().flatten(1)
    first, second = first - first.mean(1, keepdim=True), second - second.mean(1, keepdim=True)
    return (first * second).sum(1) / (first.square().sum(1) * second.square().sum(1)).sqrt()

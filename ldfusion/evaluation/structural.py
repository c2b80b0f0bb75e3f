"""Fusion metrics from moments and structure: SD, CC, SCD, SSIM, MS-SSIM and PSNR.

All take (B, 1, H, W) luma on the 0..255 scale, the sources (1, 1, H, W) where all B images share them, and return (B,)
float64. A correlation with a constant image is undefined and NaN here; `ldfusion.evaluation.suite` turns it into "n/a".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma, undefined
from ldfusion.evaluation._window import local_moments, pair_up
from ldfusion.io.filters import gaussian_taps

PEAK = 255.0
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K = (0.01, 0.03)
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SMALLEST_SIDE = (SSIM_WINDOW - 1) * 2 ** (len(MS_WEIGHTS) - 1) + 1


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


def ssim(fused: Tensor, visible: Tensor, infrared: Tensor, peak: float = PEAK) -> Tensor:
    """SSIM(visible, F) + SSIM(infrared, F): the sum over both sources, up to 2 (Wang et al., 2004).

    11 x 11 Gaussian window of sigma 1.5, complete windows only, K = (0.01, 0.03), range ``peak`` in the constants. NaN
    below 11 x 11 pixels.
    """
    check_luma(fused, visible, infrared)
    if min(fused.shape[-2:]) < SSIM_WINDOW:
        return undefined(fused)
    return _similarity(fused.double(), pair_up(visible, infrared), peak)[0].sum(1)


def ms_ssim(fused: Tensor, visible: Tensor, infrared: Tensor, peak: float = PEAK) -> Tensor:
    """MS-SSIM(visible, F) + MS-SSIM(infrared, F): the sum over both sources, up to 2 (Wang et al., 2003).

    Five scales, each half as large (mean of 2 x 2, an odd side is prolonged by its first line): contrast and structure
    at all of them, luminance at the coarsest; negative means count as 0. NaN below 161 x 161 pixels, where the coarsest
    scale has no complete window.
    """
    check_luma(fused, visible, infrared)
    if min(fused.shape[-2:]) < MS_SMALLEST_SIDE:
        return undefined(fused)
    image, sources = fused.double(), pair_up(visible, infrared)
    product = torch.ones(1, 2, dtype=torch.float64, device=fused.device)
    for scale, weight in enumerate(MS_WEIGHTS):
        similarity, structure = _similarity(image, sources, peak)
        last = scale == len(MS_WEIGHTS) - 1
        product = product * (similarity if last else structure).clamp_min(0) ** weight
        if not last:
            image, sources = _halve(image), _halve(sources)
    return product.sum(1)


def _similarity(fused: Tensor, sources: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """Mean SSIM of each source with the fused image, and its part without the luminance: (B, 2) each."""
    bias, noise = (SSIM_K[0] * peak) ** 2, (SSIM_K[1] * peak) ** 2
    whole = part = torch.zeros(1, 2, dtype=torch.float64, device=fused.device)
    count = (fused.shape[-2] - SSIM_WINDOW + 1) * (fused.shape[-1] - SSIM_WINDOW + 1)
    for mean_s, mean_f, variance_s, variance_f, covariance in local_moments(
        sources, fused, gaussian_taps(SSIM_WINDOW, SSIM_SIGMA, fused)
    ):
        luminance = (2 * mean_s * mean_f + bias) / (mean_s.square() + mean_f.square() + bias)
        contrast = (2 * covariance + noise) / (variance_s + variance_f + noise)
        whole, part = whole + (luminance * contrast).sum((-2, -1)), part + contrast.sum((-2, -1))
    return whole / count, part / count


def _halve(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    odd = max(height % 2, width % 2)
    return functional.avg_pool2d(functional.pad(images, (odd, 0, odd, 0), mode="replicate"), 2)


def mean_squared_error(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MSE = mean of the squared differences to the two sources, on the 0..1 scale."""
    check_luma(fused, visible, infrared)
    error = [(fused.double() - source).square().mean((1, 2, 3)) for source in (visible, infrared)]
    return torch.stack(error).mean(0) / PEAK**2


def psnr(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """PSNR = 10 log10(1 / MSE) [dB], MSE the mean of those to the two sources on the 0..1 scale.

    Many published tables hold this value plus 48.13 dB, which comes from mixing the 0..1 and 0..255 scales.
    """
    return -10 * torch.log10(mean_squared_error(fused, visible, infrared))


def _pearson(first: Tensor, second: Tensor) -> Tensor:
    first, second = first.double().flatten(1), second.double().flatten(1)
    first, second = first - first.mean(1, keepdim=True), second - second.mean(1, keepdim=True)
    return (first * second).sum(1) / (first.square().sum(1) * second.square().sum(1)).sqrt()

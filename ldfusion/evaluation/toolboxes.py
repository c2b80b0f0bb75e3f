"""How widely used evaluation programs compute: the deviations from the plain definitions that change their numbers.

TANG is the MATLAB program of Linfeng Tang (Evaluation-for-Image-Fusion), "published" the tables that came with it;
ZOO the Python program of IVIF_ZOO; VIFB the MATLAB benchmark of Zhang et al. (2020). All functions take and return what
those of `ldfusion.evaluation.metrics` do: luma (B, 1, H, W) on the 0..255 scale in, one figure an image (B,) out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma, to_codes
from ldfusion.evaluation.gradient import average_gradient, nabf, spatial_frequency
from ldfusion.evaluation.information import LEVELS, entropy_of, histogram, mutual_information, visual_information
from ldfusion.evaluation.perceptual import qcb, stretch
from ldfusion.evaluation.structural import PEAK, mean_squared_error, ms_ssim, ssim

INFLATION = 20 * math.log10(PEAK)
"""48.13 dB: the peak on the 0..255 scale over an error on the 0..1 scale."""
_BYTE = 255.0


# --- TANG -----------------------------------------------------------------------------------------------------------


def saturated_mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MI whose joint histogram counts 254 and 255 together: an 8-bit index plus one saturates. The entropies of the
    single images do not.
    """
    check_luma(fused, visible, infrared)
    codes = to_codes(fused)
    total = torch.zeros(fused.shape[0], dtype=torch.float64, device=fused.device)
    for source in (to_codes(visible), to_codes(infrared)):
        joint = histogram(source.clamp_max(LEVELS - 2) * LEVELS + codes.clamp_max(LEVELS - 2), LEVELS**2)
        total += entropy_of(histogram(source, LEVELS)) + entropy_of(histogram(codes, LEVELS)) - entropy_of(joint)
    return total


def saturated_standard_deviation(fused: Tensor) -> Tensor:
    """SD in 8-bit arithmetic: F - mean is rounded and cut at 0, its square cut at 255, so that no value exceeds 16."""
    check_luma(fused)
    codes = to_codes(fused).double()
    above = (codes - codes.mean((1, 2, 3), keepdim=True) + 0.5).floor().clamp_min(0)
    return above.square().clamp_max(_BYTE).mean((1, 2, 3)).sqrt()


def saturated_vif(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """VIF whose products of grey values are cut at 255 at the first scale, as 8-bit arithmetic does."""
    return visual_information(fused, visible, infrared, ceiling=_BYTE)


def spatial_frequency_unit(fused: Tensor) -> Tensor:
    """SF on the 0..1 scale."""
    return spatial_frequency(fused) / PEAK


def inflated_psnr(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """PSNR with the peak on the 0..255 and the error on the 0..1 scale: 48.13 dB too high."""
    return INFLATION - 10 * torch.log10(mean_squared_error(fused, visible, infrared))


def mean_ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Mean of the SSIM to both sources."""
    return ssim(fused, visible, infrared) / 2


def exchanged_nabf(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Nabf with its arguments in another order than it was written for: the infrared image is judged as the fusion of
    the visible and the fused one.
    """
    check_luma(fused, visible, infrared)
    judged, first, second = torch.broadcast_tensors(infrared, visible, fused)
    return nabf(judged, first, second)


# --- ZOO ------------------------------------------------------------------------------------------------------------


def guarded_entropy(fused: Tensor) -> Tensor:
    """EN with 1e-7 inside of the logarithm."""
    check_luma(fused)
    probability = histogram(to_codes(fused), LEVELS)
    return -(probability * (probability + 1e-7).log2()).sum(1)


def average_gradient_per_pixel(fused: Tensor) -> Tensor:
    """AG divided by H W."""
    height, width = fused.shape[-2:]
    return average_gradient(fused) * ((height - 1) * (width - 1)) / (height * width)


def padded_vif(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """VIF with zeros beyond the border and windows half a pixel off their centre."""

    def taps(size: int, sigma: float, like: Tensor) -> Tensor:
        # the grid runs from -ceil(n / 2) to floor(n / 2) in n steps
        x = torch.linspace(-(size + 1) / 2, (size - 1) / 2, size, dtype=like.dtype, device=like.device)
        weights = torch.exp(-x.square() / (2 * sigma**2))
        return weights / weights.sum()

    return visual_information(fused, visible, infrared, taps=taps, padded=True)


def small_constants_ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """SSIM whose constants belong to the 0..1 scale (the program scales grey values by 255 twice).

    The program rounds to 32 bits, which at that scale moves its own result by up to 0.01; this is the exact value.
    """
    return ssim(fused, visible, infrared, peak=1.0)


def small_constants_ms_ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MS-SSIM with the same constants, see `small_constants_ssim`."""
    return ms_ssim(fused, visible, infrared, peak=1.0)


def nabf_of_strong_edges(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Nabf to which edges below the threshold do not count."""
    return nabf(fused, visible, infrared, least_weight=0.0)


def half_band_qcb(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Q_CB on a frequency grid of half the width, images stretched but not rounded, 1e-10 added to the weights."""
    return qcb(fused, visible, infrared, reach=0.5, rounded=False, guard=1e-10)


def normalised_mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """NMI = 2 MI / (H(visible) + H(infrared))."""
    entropies = [entropy_of(histogram(to_codes(source), LEVELS)) for source in (visible, infrared)]
    return 2 * mutual_information(fused, visible, infrared) / (entropies[0] + entropies[1])


def edge_intensity(fused: Tensor, padding: str = "constant") -> Tensor:
    """EI: mean Sobel magnitude, zeros beyond the border."""
    check_luma(fused)
    padded = functional.pad(fused.double(), (1, 1, 1, 1), mode=padding)
    right = padded[..., 2:] - padded[..., :-2]
    right = right[..., :-2, :] + right[..., 2:, :] + 2 * right[..., 1:-1, :]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = down[..., :-2] + down[..., 2:] + 2 * down[..., 1:-1]
    return torch.hypot(right, down).mean((1, 2, 3))


# --- VIFB -----------------------------------------------------------------------------------------------------------


def stretched_mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MI [nat] of images each stretched to 0..255."""
    images = (torch.nan_to_num(stretch(image), nan=0.0) for image in (fused, visible, infrared))
    return mutual_information(*images) * math.log(2)


def spatial_frequency_per_pixel(fused: Tensor) -> Tensor:
    """SF whose sums are both divided by H W."""
    check_luma(fused)
    height, width = fused.shape[-2:]
    fused = fused.double()
    rows, columns = fused.diff(dim=-1).square().sum((1, 2, 3)), fused.diff(dim=-2).square().sum((1, 2, 3))
    return ((rows + columns) / (height * width)).sqrt()


def edge_intensity_replicated(fused: Tensor) -> Tensor:
    """EI with the border repeated."""
    return edge_intensity(fused, "replicate")


def rooted_psnr(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """PSNR of an "MSE" that is the root of the summed squares over H W."""
    check_luma(fused, visible, infrared)
    pixels = fused.shape[-2] * fused.shape[-1]
    roots = [(fused.double() - source).square().sum((1, 2, 3)).sqrt() / pixels for source in (visible, infrared)]
    return 10 * torch.log10(PEAK**2 / torch.stack(roots).mean(0))

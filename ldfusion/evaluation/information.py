"""Fusion metrics from information theory: entropy, mutual information, visual information fidelity.

All take (B, 1, H, W) luma on the 0..255 scale and return (B,) float64. A value that the definition leaves
open (0 / 0) is NaN here; `ldfusion.evaluation.suite` turns it into "n/a".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ldfusion.evaluation._luma import check_luma, to_codes
from ldfusion.evaluation._window import LocalMoments, blur, gaussian, local_moments, stack

LEVELS = 256
MID_GREY = 127.5
VIF_WINDOWS = (17, 9, 5, 3)
VIF_NOISE_VARIANCE = 2.0
VIF_SMALLEST_SIDE = 41
_TINY = 1e-10


def entropy(fused: Tensor) -> Tensor:
    """EN = -sum p log2 p over the 256 grey codes [bit], 0..8 (Roberts et al., 2008)."""
    check_luma(fused)
    return _entropy(_histogram(to_codes(fused), LEVELS))


def mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MI = I(visible; F) + I(infrared; F) [bit], 256 x 256 joint histograms (Qu, Zhang and Yan, 2002)."""
    check_luma(fused, visible, infrared)
    codes = to_codes(fused)
    total = torch.zeros(fused.shape[0], dtype=torch.float64, device=fused.device)
    for source in (visible, infrared):
        joint = _histogram(to_codes(source) * LEVELS + codes, LEVELS**2)
        table = joint.unflatten(1, (LEVELS, LEVELS))
        total += _entropy(table.sum(1)) + _entropy(table.sum(2)) - _entropy(joint)
    return total


def vif(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """VIF = VIFP(visible -> F) + VIFP(infrared -> F), each source being the reference (0..2, more with contrast gain).

    VIFP is the four-scale pixel-domain fidelity of Sheikh and Bovik (2006): 'valid' Gaussian windows of 17, 9, 5
    and 3 pixels (sigma a fifth of the window), noise variance 2. Undefined (NaN) below 41 x 41 pixels, where the
    coarsest scale has no complete window, and for a source without any detail.
    """
    check_luma(fused, visible, infrared)
    batch = fused.shape[0]
    if min(fused.shape[-2:]) < VIF_SMALLEST_SIDE:
        return torch.full((batch,), torch.nan, dtype=torch.float64, device=fused.device)
    images = stack(fused, visible, infrared)
    passed = available = torch.zeros(batch, 2, dtype=torch.float64, device=fused.device)
    for scale, window in enumerate(VIF_WINDOWS):
        kernel = gaussian(window, window / 5, images)
        if scale:
            images = blur(images, kernel)[..., ::2, ::2]
        moments = local_moments(images, kernel, origin=MID_GREY)
        passed, available = passed + _information_passed(moments), available + _information_available(moments)
    return (passed / available).sum(1)


def _information_passed(moments: LocalMoments) -> Tensor:
    """Information of each source that reaches F through a gain and additive noise [nat], (B, 2)."""
    linked = (moments.variance_sources >= _TINY) & (moments.variance_fused >= _TINY) & (moments.covariance > 0)
    gain = torch.where(linked, moments.covariance / (moments.variance_sources + _TINY), 0.0)
    residual = (moments.variance_fused - gain * moments.covariance).clamp_min(_TINY)
    signal = gain.square() * moments.variance_sources
    return torch.log1p(signal / (residual + VIF_NOISE_VARIANCE)).sum((-2, -1))


def _information_available(moments: LocalMoments) -> Tensor:
    """Information that the observer can take from each source itself [nat], (B, 2)."""
    variance = torch.where(moments.variance_sources >= _TINY, moments.variance_sources, 0.0)
    return torch.log1p(variance / VIF_NOISE_VARIANCE).sum((-2, -1))


def _histogram(codes: Tensor, bins: int) -> Tensor:
    """Probability of each code, (B, bins) float64, from integer codes of shape (B, ...)."""
    flat = codes.flatten(1)
    offset = bins * torch.arange(flat.shape[0], device=flat.device).unsqueeze(1)
    counts = torch.bincount((flat + offset).flatten(), minlength=bins * flat.shape[0])
    return counts.unflatten(0, (-1, bins)).double() / flat.shape[1]


def _entropy(probability: Tensor) -> Tensor:
    return -torch.special.xlogy(probability, probability).sum(1) / math.log(2)

"""Fusion metrics from information theory: entropy, mutual information, visual information fidelity, lost pixels.

All take (B, 1, H, W) luma on the 0..255 scale, the sources (1, 1, H, W) where all B images share them, and return (B,)
float64. A value that the definition leaves open (0 / 0) is NaN here; `ldfusion.evaluation.suite` turns it into "n/a".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ldfusion.evaluation._luma import check_luma, to_codes, undefined
from ldfusion.evaluation._window import LocalMoments, blur, local_moments, pair_up
from ldfusion.io.filters import gaussian_taps

LEVELS = 256
MID_GREY = 127.5
VIF_WINDOWS = (17, 9, 5, 3)
VIF_NOISE_VARIANCE = 2.0
VIF_SMALLEST_SIDE = 41
_TINY = 1e-10


def entropy(fused: Tensor) -> Tensor:
    """EN = -sum p log2 p over the 256 grey codes [bit], 0..8 (Roberts et al., 2008)."""
    check_luma(fused)
    return entropy_of(histogram(to_codes(fused), LEVELS))


def mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """MI = I(visible; F) + I(infrared; F) [bit], 256 x 256 joint histograms (Qu, Zhang and Yan, 2002)."""
    check_luma(fused, visible, infrared)
    codes = to_codes(fused)
    total = torch.zeros(fused.shape[0], dtype=torch.float64, device=fused.device)
    for source in (visible, infrared):
        joint = histogram(to_codes(source) * LEVELS + codes, LEVELS**2)
        table = joint.unflatten(1, (LEVELS, LEVELS))
        total += entropy_of(table.sum(1)) + entropy_of(table.sum(2)) - entropy_of(joint)
    return total


def clipped_share(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Pixels at the codes 0 and 255 beyond the larger share of the two sources [%], 0..100, lower is better.

    What is drawn there is lost; a source that is cut off itself is no fault of the fusion.
    """
    check_luma(fused, visible, infrared)

    def share(image: Tensor) -> Tensor:
        codes = to_codes(image)
        return ((codes == 0) | (codes == LEVELS - 1)).double().mean((1, 2, 3))

    return 100 * (share(fused) - torch.maximum(share(visible), share(infrared))).clamp_min(0)


def vif(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """VIF = VIFP(visible -> F) + VIFP(infrared -> F), each source being the reference (0..2, more with contrast gain).

    VIFP is the four-scale pixel-domain fidelity of Sheikh and Bovik (2006): 'valid' Gaussian windows of 17, 9, 5
    and 3 pixels (sigma a fifth of the window), noise variance 2. Undefined (NaN) below 41 x 41 pixels, where the
    coarsest scale has no complete window, and for a source without any detail.
    """
    if min(fused.shape[-2:]) < VIF_SMALLEST_SIDE:
        check_luma(fused, visible, infrared)
        return undefined(fused)
    return visual_information(fused, visible, infrared, origin=MID_GREY)


def visual_information(
    fused: Tensor,
    visible: Tensor,
    infrared: Tensor,
    taps: Callable[[int, float, Tensor], Tensor] = gaussian_taps,
    padded: bool = False,
    origin: float = 0.0,
    ceiling: float | None = None,
) -> Tensor:
    """VIF with the choices in which toolboxes differ, (B,).

    Args:
        taps: (size, sigma, like) to the weights of a window.
        padded: zeros around the image, so that every scale keeps its size; otherwise complete windows only.
        origin: see `local_moments`; 0 with padding.
        ceiling: cut of the products at the first scale.
    """
    check_luma(fused, visible, infrared)
    sources, image = pair_up(visible, infrared), fused.double()
    passed = available = torch.zeros(1, 2, dtype=torch.float64, device=fused.device)
    for scale, window in enumerate(VIF_WINDOWS):
        kernel = taps(window, window / 5, image)
        margin = [window // 2] * 4
        if scale:
            if padded:
                sources, image = functional.pad(sources, margin), functional.pad(image, margin)
            sources, image = blur(sources, kernel)[..., ::2, ::2], blur(image, kernel)[..., ::2, ::2]
        s, f = (functional.pad(sources, margin), functional.pad(image, margin)) if padded else (sources, image)
        for moments in local_moments(s, f, kernel, origin, None if scale else ceiling):
            passed, available = passed + _information_passed(moments), available + _information_available(moments)
    return (passed / available).sum(1)


def _information_passed(moments: LocalMoments) -> Tensor:
    """Information of each source that reaches F through a gain and additive noise [nat], (B, 2)."""
    _, _, variance_s, variance_f, covariance = moments
    linked = (variance_s >= _TINY) & (variance_f >= _TINY) & (covariance > 0)
    gain = torch.where(linked, covariance / (variance_s + _TINY), 0.0)
    residual = torch.addcmul(variance_f, gain, covariance, value=-1).clamp_min_(_TINY)
    return _sum_of_logs(gain.square_().mul_(variance_s).div_(residual.add_(VIF_NOISE_VARIANCE)))


def _information_available(moments: LocalMoments) -> Tensor:
    """Information that the observer can take from each source itself [nat], (S, 2)."""
    return _sum_of_logs(moments.variance_sources / VIF_NOISE_VARIANCE)


def _sum_of_logs(ratio: Tensor) -> Tensor:
    """sum log(1 + ratio) over a strip (B, C, h, w): the logarithm of products along its columns, (B, C).

    No ratio exceeds 127.5^2 / 2 + 1 on the 0..255 scale (twice 255^2 with saturated products), so that 64 rows stay
    far inside of what float64 holds; one logarithm a column replaces 64.
    """
    return ratio.add_(1).prod(-2).log().sum(-1)


def histogram(codes: Tensor, bins: int) -> Tensor:
    """Probability of each code, (B, bins) float64, from integer codes of shape (B, ...)."""
    flat = codes.flatten(1)
    offset = bins * torch.arange(flat.shape[0], device=flat.device).unsqueeze(1)
    counts = torch.bincount((flat + offset).flatten(), minlength=bins * flat.shape[0])
    return counts.unflatten(0, (-1, bins)).double() / flat.shape[1]


def entropy_of(probability: Tensor) -> Tensor:
    """-sum p log2 p [bit] of (B, n) probabilities, (B,)."""
    return -torch.special.xlogy(probability, probability).sum(1) / math.log(2)

"""Losses of the fusion network, each a small function with its equation and source. Images are in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from depth.losses import ssi_loss
from ldfusion.io.color import luma, rgb_to_ycbcr
from ldfusion.io.filters import box_mean, local_contrast, sobel


def target_intensity(visible: Tensor, infrared: Tensor) -> Tensor:
    """Brighter source at each pixel, max(Y_V, I) (B, 1, H, W) (SeAFusion, Tang et al. 2022, eq. 5)."""
    return torch.maximum(luma(visible), infrared)


def _stronger(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first.abs() >= second.abs(), first, second)


def content_losses(
    fused: Tensor,
    first: Tensor,
    second: Tensor,
    sharpen: float = 1.0,
    contrast: float = 0.0,
    radius: int = 16,
    epsilon: float = 0.01,
    gain: float = 1.0,
    pivot: float = 0.0,
    signed: bool = False,
) -> dict[str, Tensor]:
    """The two terms of SeAFusion's content loss (Tang et al. 2022, eqs. 4-6).

    ``intensity`` = mean |F - max(Y, I)|, ``gradient`` = mean ||grad F| - max(|grad Y|, |grad I|)|. The rest is ours:

    Args:
        fused, first, second: luma (B, 1, H, W) in [0, 1].
        sharpen: gain of the gradient target, for what the L1 means blur away; 1 is the paper's.
        contrast: gain of the local contrast of the intensity target; 0 is the paper's.
        radius, epsilon: of the filter behind the local contrast, see `local_contrast`.
        gain, pivot: fixed tone curve of the intensity target, pivot + gain (T - pivot); 1 and 0 are the paper's.
        signed: the gradients are compared in both directions with their signs (of the stronger source) instead of by
            their magnitude. Magnitudes alone are content with negative pictures, where short trainings end up.
    """
    intensity = torch.maximum(first, second)
    if gain != 1:
        intensity = (pivot + gain * (intensity - pivot)).clamp(0, 1)
    if contrast:
        intensity = local_contrast(intensity, contrast, radius, epsilon)
    of_fused, of_first, of_second = sobel(fused), sobel(first), sobel(second)
    if signed:
        gradient = 2 * F.l1_loss(of_fused, sharpen * _stronger(of_first, of_second))  # two directions make a magnitude
    else:
        magnitude, *sources = (g.abs().sum(dim=1) for g in (of_fused, of_first, of_second))
        gradient = F.l1_loss(magnitude, sharpen * torch.maximum(*sources))
    return {"intensity": F.l1_loss(fused, intensity), "gradient": gradient}


def intensity_loss(fused: Tensor, target: Tensor) -> Tensor:
    """mean |Y_F - T| (SeAFusion, Tang et al. 2022, eq. 5; Dif-Fusion's MCI on luma).

    Args:
        fused: luma (B, 1, H, W).
        target: intensity to reach (B, 1, H, W), see `target_intensity` and `emphasis`.
    """
    return F.l1_loss(fused, target)


def gradient_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """mean |grad Y_F - G|, G the Sobel response of the stronger source in each direction (Tang et al. 2022, eq. 6).

    The sign of the gradient is kept: matching magnitudes alone also rewards an edge of reversed contrast, a halo.

    Args:
        fused, first, second: luma (B, 1, H, W).
    """
    return F.l1_loss(sobel(fused), _stronger(sobel(first), sobel(second)))


def laplacian(image: Tensor) -> Tensor:
    """Five-point Laplacian (B, 1, H, W); the border pixel is repeated."""
    kernel = image.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernel[None, None])


def laplacian_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """mean |lap F - L|, L the Laplacian of the larger magnitude of the two, sign kept (the texture term of SIBA, 2025).

    Args:
        fused, first, second: luma (B, 1, H, W).
    """
    return F.l1_loss(laplacian(fused), _stronger(laplacian(first), laplacian(second)))


def novelty_loss(fused: Tensor, first: Tensor, second: Tensor, allowed: float = 1.15, noise: float = 0.02) -> Tensor:
    """Edges that neither source has, mean max(0, |grad F| - allowed max(|grad A|, |grad B|) - noise) (ours).

    Args:
        fused, first, second: luma (B, 1, H, W).
        allowed: gain of an edge that costs nothing.
        noise: magnitude that costs nothing.
    """
    of_fused, *sources = ((sobel(x).square().sum(dim=1) + 1e-6).sqrt() for x in (fused, first, second))
    return torch.relu(of_fused - allowed * torch.maximum(*sources) - noise).mean()


def outside_loss(image: Tensor) -> Tensor:
    """Mean distance of every channel of images (B, C, H, W) from [0, 1], where they will be clipped."""
    return (torch.relu(image - 1) + torch.relu(-image)).mean()


def clipping_loss(fused: Tensor, first: Tensor, second: Tensor, margin: float = 0.015) -> Tensor:
    """How far the fused luma goes into the last grey levels at either end where no source does (ours).

    Args:
        fused, first, second: luma (B, 1, H, W).
        margin: of these levels, of 1.
    """
    high = torch.maximum(first, second).clamp_min(1 - margin)
    low = torch.minimum(first, second).clamp_max(margin)
    return (torch.relu(fused - high) + torch.relu(low - fused)).mean()


def roughness(grid: Tensor) -> Tensor:
    """Mean squared step to the next node, summed over the range axis and both axes of position (ours).

    Args:
        grid: (B, axes, K, R, h, w).
    """
    steps = (grid.diff(dim=d).square() for d in (3, 4, 5))
    return sum((s.mean() for s in steps if s.numel()), grid.new_zeros(()))


def glare(luma_: Tensor, infrared: Tensor, radius: int = 6) -> Tensor:
    """Where a light blinds the visible camera at night, (B, 1, H, W) in [0, 1] (ours).

    Saturated over a patch, in a picture that is dark as a whole, and not hot: there the infrared image may see through.

    Args:
        luma_, infrared: (B, 1, H, W) in [0, 1].
        radius: of the patch, pixels.
    """
    night = ((0.45 - luma_.mean(dim=(1, 2, 3), keepdim=True)) / 0.2).clamp(0, 1)
    blinded = ((box_mean(luma_, radius) - 0.7) / 0.25).clamp(0, 1)
    return night * blinded * (luma_ - infrared).clamp_min(0)


def pale(luma_: Tensor, infrared: Tensor, radius: int = 6) -> Tensor:
    """Where the sky of a day is white and the infrared one is dark, (B, 1, H, W) in [0, 1] (ours).

    Infrared detail printed there in grey is what people hold against a fused image first.

    Args:
        luma_, infrared: (B, 1, H, W) in [0, 1].
        radius: of the patch that is white, pixels.
    """
    day = ((luma_.mean(dim=(1, 2, 3), keepdim=True) - 0.3) / 0.15).clamp(0, 1)
    white = ((box_mean(luma_, radius) - 0.8) / 0.15).clamp(0, 1)
    return day * white * (luma_ - infrared).clamp_min(0)


def colour_loss(fused: Tensor, visible: Tensor) -> Tensor:
    """mean |Cb_F - Cb_V| + mean |Cr_F - Cr_V| (Text-IF, Yi et al. 2024, eq. 12): the hue stays the visible camera's."""
    return 2 * F.l1_loss(rgb_to_ycbcr(fused)[:, 1:], rgb_to_ycbcr(visible)[:, 1:])


def depth_loss(
    fused: Tensor,
    depth_visible: Tensor,
    depth_infrared: Tensor,
    visible_network: nn.Module,
    infrared_network: nn.Module,
) -> Tensor:
    """Depth-driven loss (Zhang et al. 2025, arXiv 2503.08676): both frozen networks must read the pair's depth from F.

    L = 1/2 SSI(D_V(F), d_V) + 1/2 SSI(D_I(Y_F), d_I), SSI of MiDaS (Ranftl et al. 2020). The paper does not say how the
    two outputs are scaled; here each is compared with its modality's pseudo-label up to scale and shift.

    Args:
        fused: colour image (B, 3, H, W).
        depth_visible, depth_infrared: relative inverse depth of the pair (B, 1, H, W), any scale.
        visible_network, infrared_network: frozen; gradients flow through them to the image.
    """
    total = fused.new_zeros(())
    for network, image, depth in (
        (visible_network, fused, depth_visible),
        (infrared_network, luma(fused), depth_infrared),
    ):
        target = depth / depth.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-4)
        total = total + 0.5 * ssi_loss(network(image).float(), target).mean()
    return total


def region_loss(fused: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Sum M |Y_F - T| / Sum M over the targets M of a sample, 0 without any, averaged over the samples (ours).

    A person far away is a thousandth of the picture: in `intensity_loss` what a sentence asks of it would go unheard.
    The mean is over all samples, so that it does not depend on how a batch is shared out over processes.

    Args:
        fused: luma (B, 1, H, W).
        target: intensity to reach (B, 1, H, W).
        mask: 1 on targets, 0 elsewhere (B, 1, H, W).
    """
    area = mask.sum(dim=(1, 2, 3))
    return ((mask * (fused - target).abs()).sum(dim=(1, 2, 3)) / area.clamp_min(1)).mean()


def emphasis(infrared: Tensor, mask: Tensor, named: Tensor, strength: float, softness: int = 9) -> Tensor:
    """How much brighter a target named in the sentence shall be, (B, 1, H, W) >= 0: strength * M * I.

    M is the softened mask of the classes that the sentence names. The thermal signature I itself scales the lift: a
    named car with a cold body stays as it is, and no mask edge becomes visible.

    Args:
        infrared: (B, 1, H, W).
        mask: class ids (B, H, W), 1..K; others are ignored.
        named: 1 where the sentence names class k + 1, (B, K).
        strength: lift at I = 1.
        softness: side of the box that softens the mask, odd, pixels.
    """
    classes = torch.arange(1, named.shape[1] + 1, device=mask.device)
    member = (mask[:, None] == classes[None, :, None, None]).to(infrared.dtype)
    selected = (member * named[:, :, None, None].to(infrared)).sum(dim=1, keepdim=True)
    soft = F.avg_pool2d(F.avg_pool2d(selected, softness, 1, softness // 2), softness, 1, softness // 2)
    return strength * soft * infrared


def contrast_loss(
    fused: Tensor, other: Tensor, infrared: Tensor, mask: Tensor, named: Tensor, margin: float = 0.08
) -> Tensor:
    """What two sentences must change in one pair (ours): what one of them names is brighter under it, the rest stays.

    With D = Y_F - Y_G, W the weights of what the first names and V of what the second names, see `emphasis`:
    sum |W - V| max(0, margin - sign(W - V) D) / sum |W - V| + mean |D| where both are 0; the mean over the samples.

    Args:
        fused, other: luma of the same pairs under the first and the second sentences (B, 1, H, W).
        infrared: (B, 1, H, W) in [0, 1].
        mask: class ids (B, H, W).
        named: what they name, 1 and -1 (B, K), 0 what both or neither do.
        margin: difference wanted on the targets, grey levels of 1.
    """
    change, named = fused - other, named.to(fused.device)
    first, second = (emphasis(infrared, mask, (sign * named).clamp_min(0), 1.0) for sign in (1, -1))
    weight = (first - second).abs()
    elsewhere = (weight == 0).to(change)
    missed = torch.relu(margin - (first - second).sign() * change)
    total = fused.new_zeros(len(fused))
    for share, value in ((weight, missed), (elsewhere, change.abs())):
        total = total + (share * value).sum(dim=(1, 2, 3)) / share.sum(dim=(1, 2, 3)).clamp_min(1e-3)
    return total.mean()

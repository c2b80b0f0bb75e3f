"""Differentiable forms of the fusion metrics, and how far each falls short of a share of what the sources offer.

The evaluation (`ldfusion.evaluation.metrics`) counts 8-bit codes. Here histograms are soft, each pixel shared between
the two bins nearest to it, and the other formulas are the same. Images are luma (B, 1, H, W) in [0, 1], values (B,).

Every one of the usual metrics is served best by a copy of one source or by a stretch, so each source by itself must
keep a floor of visual and of mutual information (`floor_vif`, `floor_mi`), and SCD asks for what one source alone does
not give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.io.filters import gaussian_taps, sobel

BINS = 64
"""Of the soft histograms; 256 grey values have log2(256 / BINS) bit more entropy."""
VISUAL_NOISE = 2.0
"""Variance of the noise of VIF's observer in squared grey levels (Sheikh and Bovik 2006)."""
THINNED_ABOVE = 2**15
"""Pixels above which every second row and column is counted in the histograms."""
SOFT = 4.0
"""Sobel magnitude on the 0..255 scale by which an edge must exceed both sources' to count as new."""
SMALLEST_SIDE = 41
"""Pixels a side below which VIF's coarsest scale is empty."""
GOALS = ("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "Nabf", "floor_vif", "floor_mi")
"""What can be asked for. EN, SF and SD: share of the larger of the two sources' values. MI: of the larger entropy. VIF,
Qabf and SCD: the value itself; Nabf, too, less is better. Floors: share of each source's own information, the
shortfalls of both are added."""


def membership(image: Tensor, bins: int = BINS) -> Tensor:
    """Share of every pixel in equidistant grey values (B, N, bins); rows sum to 1."""
    place = image.flatten(1).clamp(0, 1)[..., None] * (bins - 1)
    return (1 - (place - torch.arange(bins, device=image.device)).abs()).clamp_min(0)


def bits(p: Tensor) -> Tensor:
    """Entropy of distributions (B, ...) in bit, (B,)."""
    return -(p * (p + 1e-9).log2()).flatten(1).sum(dim=1)


def mutual_bits(first: Tensor, second: Tensor) -> Tensor:
    """Mutual information of two images from their `membership` (B, N, bins), in bit."""
    joint = torch.einsum("bnf,bns->bfs", first, second) / first.shape[1]
    return bits(joint.sum(dim=2)) + bits(joint.sum(dim=1)) - bits(joint)


def spatial_frequency(image: Tensor) -> Tensor:
    """Root of the mean squared differences of neighbours in rows and columns."""
    rows, columns = (image.diff(dim=d).square().mean(dim=(1, 2, 3)) for d in (2, 3))
    return (rows + columns + 1e-8).sqrt()


def deviation(image: Tensor) -> Tensor:
    """Standard deviation."""
    return (image.flatten(1).var(dim=1, unbiased=False) + 1e-8).sqrt()


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation coefficient."""
    a, b = (x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True) for x in (first, second))
    return (a * b).mean(dim=1) / ((a * a).mean(dim=1) * (b * b).mean(dim=1) + 1e-8).sqrt()


def vif(fused: Tensor, sources: Tensor) -> Tensor:
    """Pixel-domain visual information fidelity of the fused image for each source (B, S) (Sheikh and Bovik 2006).

    Args:
        sources: (B, S, H, W).
    """
    b, s = sources.shape[:2]
    reference, seen = 255 * sources.flatten(0, 1)[:, None], 255 * fused.repeat_interleave(s, dim=0)
    kept = offered = torch.zeros(b * s, device=fused.device)
    for side in (17, 9, 5, 3):
        if side < 17:
            reference, seen = (_gaussian(x, side)[..., ::2, ::2] for x in (reference, seen))
        products = [reference, seen, reference * reference, seen * seen, reference * seen]
        mean_r, mean_s, rr, ss, rs = _gaussian(torch.cat(products, dim=1), side).split(1, dim=1)
        var_r, var_s = (rr - mean_r**2).clamp_min(0), (ss - mean_s**2).clamp_min(0)
        gain = ((rs - mean_r * mean_s) / (var_r + 1e-3)).clamp_min(0)
        left = (var_s - gain * (rs - mean_r * mean_s)).clamp_min(1e-3)
        kept = kept + (1 + gain**2 * var_r / (left + VISUAL_NOISE)).log10().sum(dim=(1, 2, 3))
        offered = offered + (1 + var_r / VISUAL_NOISE).log10().sum(dim=(1, 2, 3))
    return (kept / offered.clamp_min(1e-3)).view(b, s)


def qabf(fused: Tensor, sources: Tensor) -> Tensor:
    """Edge preservation of all sources together (Xydeas and Petrovic 2000).

    Args:
        sources: (B, S, H, W).
    """
    strength_f, angle_f = _edges(fused)
    strength, angle = _edges(sources.flatten(0, 1)[:, None])
    strength, angle = (x.view(sources.shape) for x in (strength, angle))
    ratio = torch.minimum(strength, strength_f) / torch.maximum(strength, strength_f)
    # the two angles are in (-90, 90] degrees; apart by more than 90 the metric counts from the other side
    aligned = (1 - (angle - angle_f).abs() / (math.pi / 2)).abs()
    quality = 0.9994 * torch.sigmoid(15 * (ratio - 0.5)) * 0.9879 * torch.sigmoid(22 * (aligned - 0.8))
    return (quality * strength).sum(dim=(1, 2, 3)) / strength.sum(dim=(1, 2, 3)).clamp_min(1e-3)


def nabf(fused: Tensor, sources: Tensor) -> Tensor:
    """Edges that neither source has (Shreyamsha Kumar 2013), where "stronger than both" sets in softly.

    Args:
        sources: (B, S, H, W).
    """
    strength_f, angle_f = _edges(fused)
    strength, angle = (x.view(sources.shape) for x in _edges(sources.flatten(0, 1)[:, None]))
    ratio = torch.minimum(strength, strength_f) / torch.maximum(strength, strength_f)
    agreement = ((angle - angle_f).abs() - math.pi / 2).abs() / (math.pi / 2)
    quality = (0.9999 * torch.sigmoid(19 * (ratio - 0.5)) * 0.9995 * torch.sigmoid(22 * (agreement - 0.5))).sqrt()
    added = torch.sigmoid((strength_f - strength.amax(dim=1, keepdim=True)) / SOFT)
    share = torch.where(strength >= 8 * 2, (strength / 8) ** 1.5, 0.001)
    return ((1 - quality) * share * added).sum(dim=(1, 2, 3)) / share.sum(dim=(1, 2, 3))


def shortfalls(fused: Tensor, visible: Tensor, infrared: Tensor, goals: Mapping[str, float]) -> dict[str, Tensor]:
    """How far each metric falls short of its goal, max(0, 1 - value / goal), averaged over the batch.

    Nabf, of which less is better, exceeds its goal by max(0, value / goal - 1).

    Args:
        fused: luma (B, 1, H, W), may leave [0, 1] a little.
        visible, infrared: luma (B, 1, H, W) in [0, 1].
        goals: by names of `GOALS`; a goal of 0 is left out.
    """
    with torch.autocast(fused.device.type, enabled=False):
        return _Shortfalls(fused.float(), torch.cat([visible, infrared], dim=1).float(), goals).all()


class _Shortfalls:
    def __init__(self, fused: Tensor, sources: Tensor, goals: Mapping[str, float]) -> None:
        self.fused, self.sources, self.goals = fused, sources, {k: g for k, g in goals.items() if g > 0}
        self.out: dict[str, Tensor] = {}

    def all(self) -> dict[str, Tensor]:
        f, (v, i) = self.fused, self.sources.split(1, dim=1)
        if self.goals.keys() & {"EN", "MI", "floor_mi"}:
            self._histograms()
        for name, measure in (("SF", spatial_frequency), ("SD", deviation)):
            if name in self.goals:
                self._add(name, measure(f), torch.maximum(measure(v), measure(i)))
        if self.goals.keys() & {"VIF", "floor_vif"}:
            kept = vif(f, self.sources)
            self._add("VIF", kept.sum(dim=1))
            self._floors("floor_vif", kept, torch.ones_like(kept))
        if "Qabf" in self.goals:
            self._add("Qabf", qabf(f, self.sources))
        if "Nabf" in self.goals:
            self.out["Nabf"] = torch.relu(nabf(f, self.sources) / self.goals["Nabf"] - 1).mean()
        if "SCD" in self.goals:
            self._add("SCD", correlation(f - i, v) + correlation(f - v, i))
        return self.out

    def _histograms(self) -> None:
        step = 2 if self.fused[0, 0].numel() > THINNED_ABOVE else 1
        f = membership(self.fused[..., ::step, ::step])
        sources = [membership(x) for x in self.sources[..., ::step, ::step].split(1, dim=1)]
        offered = torch.stack([bits(x.mean(dim=1)) for x in sources], dim=1)
        most = offered.amax(dim=1)
        rest = math.log2(256 / BINS)
        self._add("EN", bits(f.mean(dim=1)) + rest, most + rest)
        shared = torch.stack([mutual_bits(f, x) for x in sources], dim=1)
        self._add("MI", shared.sum(dim=1), most)
        self._floors("floor_mi", shared, offered)

    def _floors(self, name: str, values: Tensor, offered: Tensor) -> None:
        if name in self.goals:
            goal = (self.goals[name] * offered).clamp_min(1e-3)
            self.out[name] = torch.relu(1 - values / goal).sum(dim=1).mean()

    def _add(self, name: str, value: Tensor, offered: Tensor | float = 1.0) -> None:
        if name in self.goals:
            goal = torch.as_tensor(self.goals[name] * offered, device=value.device).clamp_min(1e-3)
            self.out[name] = torch.relu(1 - value / goal).mean()


def _gaussian(image: Tensor, side: int) -> Tensor:
    """Gaussian filter of standard deviation side / 5, only where the window lies inside the image."""
    kernel = gaussian_taps(side, side / 5, image).expand(image.shape[1], 1, -1)
    rows = F.conv2d(image, kernel[..., None], groups=image.shape[1])
    return F.conv2d(rows, kernel[:, :, None], groups=image.shape[1])


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitude and angle in (-pi / 2, pi / 2) of the Sobel gradient on the 0..255 scale, (B, 1, H, W) each."""
    sx, sy = sobel(255 * image).split(1, 1)
    away = torch.where(sx.abs() < 1e-2, torch.full_like(sx, 1e-2), sx)  # no infinite slope in a vertical gradient
    return (sx**2 + sy**2 + 1e-4).sqrt(), torch.atan(sy / away)

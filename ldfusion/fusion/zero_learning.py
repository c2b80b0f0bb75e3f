"""Zero-learning fusion (Lahoud and Suesstrunk, "Fast and Efficient Zero-Learning Image Fusion", arXiv 1905.03590).

Luma and infrared are split into base (box mean) and detail. The bases are weighed by histogram contrast, smoothed by a
guided filter; the details by the activity of VGG-19 features. The settings are those of the authors' code, which the
paper names as its own; `VARIANTS` holds those of other published versions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.fusion.base import NetworkMethod
from ldfusion.fusion.classical import alpha_blend, check_alpha
from ldfusion.fusion.vgg import VGGActivity, find_vgg19
from ldfusion.io.color import luma, with_luma
from ldfusion.io.filters import box_mean, guided_filter
from ldfusion.io.notices import notice
from ldfusion.io.size import filter_tiled

TINY = 1e-12
ACTIVITIES = ("auto", "vgg19", "contrast")
_CONTRAST_RADIUS = 3  # of the mean of |detail| that stands in for the VGG features
_TILE = 512  # 64 feature channels of one tile take 67 MB
_VGG_REACH = 16


@dataclass(frozen=True)
class Variant:
    """Settings of one published version.

    Attributes:
        box: side of the box mean that makes the base, odd, pixels; 0 fuses the image itself as detail.
        radius: of the guided filter, pixels.
        epsilon: of the guided filter.
        layers: indices into torchvision's VGG-19 features (1 is relu1_1); the fused details of several layers are
            joined by their pixelwise maximum.
        softmax: the activities a are stretched to [0, 1] and weigh exp(a) / (sum exp(a) + 1e-5); otherwise they are
            taken as they come and weigh (a + 1e-3) / sum(a + 1e-3).
    """

    box: int = 45
    radius: int = 45
    epsilon: float = 0.01
    layers: tuple[int, ...] = (1,)
    softmax: bool = True


VARIANTS = {
    "fast": Variant(),
    "medical": Variant(box=0, softmax=False),
    "multilayer": Variant(box=31, layers=(1, 3, 8)),
}
"""``fast``: the authors' code of the paper. ``medical``: their earlier method (FUSION 2019), without base.
``multilayer``: a widespread third-party version (its box of 30 pixels made odd)."""


def histogram_saliency(grey: Tensor) -> Tensor:
    """Histogram contrast S(p) = sum over k of h(k) |X(p) - k|, on the grey values 0..255 of each image.

    Args:
        grey: (B, 1, H, W) in [0, 1]; h is the normalised histogram of round(255 grey).

    Returns:
        For each image the saliency of every grey value, (B, 256) in 0..255; see `look_up`.
    """
    values = torch.arange(256, device=grey.device)
    counts = torch.stack([torch.bincount(codes, minlength=256) for codes in _codes(grey).flatten(1)])
    distance = (values[:, None] - values).abs().double()
    saliency: Tensor = (counts.double() / counts.sum(1, keepdim=True)) @ distance
    return saliency


def look_up(table: Tensor, grey: Tensor) -> Tensor:
    """The entries of ``table`` (B, 256) at the grey values of (B, 1, H, W) in [0, 1], as float32 (B, 1, H, W)."""
    return table.gather(1, _codes(grey).flatten(1)).view(grey.shape).float()


def base_weights(first: Tensor, second: Tensor, saliency: tuple[Tensor, Tensor], settings: Variant) -> Tensor:
    """Weight of the first image's base, (B, 1, H, W) in [0, 1]; the second one's is what is left to 1.

    The share of each saliency, smoothed along the edges of its own image, then normalised again.

    Args:
        first, second: (B, 1, H, W) in [0, 1].
        saliency: `histogram_saliency` of both, of the whole images.
        settings: radius and epsilon of the guided filter.
    """
    share = [look_up(table, grey) + TINY for table, grey in zip(saliency, (first, second), strict=True)]
    total = share[0] + share[1]
    refined = [
        guided_filter(grey, part / total, settings.radius, settings.epsilon) + TINY
        for grey, part in zip((first, second), share, strict=True)
    ]
    return refined[0] / (refined[0] + refined[1])


def _codes(grey: Tensor) -> Tensor:
    return grey.mul(255).round().clamp(0, 255).long()


class ZeroLearningFusion(NetworkMethod):
    """Zero-learning fusion, in the colours of the visible image.

    Histogram and range of the activity belong to the whole image and are found first; the rest is done in tiles that
    agree with the whole image.

    Args:
        activity: ``vgg19``: features of torchvision's VGG-19, as published; ``contrast``: the mean of |detail| over
            7 x 7 pixels, which needs no weights; ``auto``: VGG-19 where its weights are, else contrast, and says so.
        weights: file of VGG-19 weights (torchvision's, ``.pth`` or ``.safetensors``); searched in torch's cache by
            default.
        variant: a key of `VARIANTS`.
        alpha: overlay (1 - alpha) RGB + alpha F of the fused grey image F on the visible colours, as in the IR-RGB
            registration reports; by default the fused image takes the place of the visible luma.

    Raises:
        InputError: an unknown activity or variant, alpha outside [0, 1], or ``vgg19`` without its weights.
    """

    name = "zero-learning"

    def __init__(
        self, activity: str = "auto", weights: str = "", variant: str = "fast", alpha: float | None = None
    ) -> None:
        super().__init__()
        for value, known, what in ((activity, ACTIVITIES, "activity"), (variant, tuple(VARIANTS), "variant")):
            if value not in known:
                raise InputError(f"fusion method '{self.name}': unknown {what} '{value}'; known: {', '.join(known)}")
        self.settings = VARIANTS[variant]
        self.alpha = None if alpha is None else check_alpha(alpha)
        self.options = {} if alpha is None else {"alpha": alpha}
        file = None if activity == "contrast" else find_vgg19(weights, required=activity == "vgg19" or bool(weights))
        self.features = None if file is None else VGGActivity(file, self.settings.layers)
        if file is None and activity == "auto":
            notice(
                "zero-learning fusion: no VGG-19 weights in torch's cache (nothing is downloaded), so details are "
                "weighed by their local contrast; with torchvision's vgg19 weights there they are weighed as published"
            )

    @torch.no_grad()
    def fuse(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """See `FusionMethod`."""
        fused = self.fuse_grey(luma(visible), infrared)
        return with_luma(visible, fused) if self.alpha is None else alpha_blend(visible, fused, self.alpha)

    @torch.no_grad()
    def fuse_grey(self, first: Tensor, second: Tensor) -> Tensor:
        """Fuse (B, 1, H, W) and (B, 1, H, W) in [0, 1] into (B, 1, H, W) in [0, 1], without the cut to 8 bits."""
        settings = self.settings
        activities = [self._activity(grey) for grey in (first, second)]
        saliency = (histogram_saliency(first), histogram_saliency(second))

        def run(first: Tensor, second: Tensor, *activity: Tensor) -> Tensor:
            bases = [self._base(grey) for grey in (first, second)]
            details = [grey - base for grey, base in zip((first, second), bases, strict=True)]
            detail = self._fuse_details(details, activity)
            if not settings.box:
                return detail.clamp(0, 1)
            weight = base_weights(first, second, saliency, settings)
            return (weight * bases[0] + (1 - weight) * bases[1] + detail).clamp(0, 1)

        reach = max(2 * settings.radius, settings.box // 2)
        return filter_tiled(run, [first, second, *activities], 2 * _TILE, reach)

    def _base(self, grey: Tensor) -> Tensor:
        return (
            box_mean(grey, self.settings.box // 2, repeat_border=False) if self.settings.box else torch.zeros_like(grey)
        )

    def _activity(self, grey: Tensor) -> Tensor:
        """How much goes on at each pixel, (B, layers, H, W), >= 0."""

        def run(grey: Tensor) -> Tensor:
            detail = grey - self._base(grey)
            if self.features is None:
                return box_mean(detail.abs(), _CONTRAST_RADIUS)
            # The authors' code divides the detail, already in [-1, 1], by 255 again; kept, since the biases of the
            # features make it matter.
            return self.features(detail / 255 if self.settings.box else detail)

        reach = self.settings.box // 2 + _VGG_REACH
        values = filter_tiled(run, [grey], _TILE, reach, 2 if self.features is None else self.features.stride)
        if not self.settings.softmax:
            return values
        low, high = values.amin((-2, -1), keepdim=True), values.amax((-2, -1), keepdim=True)
        return (values - low) / (high - low).clamp(min=TINY)

    def _fuse_details(self, details: list[Tensor], activities: tuple[Tensor, ...]) -> Tensor:
        first, second = activities
        if self.settings.softmax:
            total = first.exp() + second.exp() + 1e-5
            fused = (first.exp() * details[0] + second.exp() * details[1]) / total
        else:
            total = first + second + 2e-3
            fused = ((first + 1e-3) * details[0] + (second + 1e-3) * details[1]) / total
        return fused.amax(1, keepdim=True)

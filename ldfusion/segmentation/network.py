"""The segmentation network of SeAFusion (Tang et al., Information Fusion 82, 2022): a two-way attention BiSeNet.

Its three stages are refined by attention and merged from coarse to fine; two gates, one after the other, let the
coarsest stage decide what the finer ones may say. The backbone is any feature network of `timm` with strides 8, 16, 32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.config import nearest
from ldfusion.data.label_sets import LabelSet, label_set
from ldfusion.errors import InputError
from ldfusion.io.size import resize
from ldfusion.weights import load

STRIDES = (8, 16, 32)
SMALLEST_SIDE = 32
LARGEST_SIDE = 1280
"""Pixels; of a larger image the attention would see a larger scene than it has learned from, and memory would grow."""


class Logits(NamedTuple):
    """Class scores (B, K, H, W) of the main head and, while training, of the auxiliary head."""

    main: Tensor
    auxiliary: Tensor | None


class _Block(nn.Sequential):
    """3x3 (or ``kernel``) convolution, batch normalisation, LeakyReLU 0.01."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.01))


class _Gate(nn.Sequential):
    """1x1 convolution, batch normalisation, sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.Sigmoid())


class _Refinement(nn.Module):
    """Attention refinement: a convolution whose channels are weighed by what the whole picture holds."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = _Block(inputs, outputs)
        self.gate = _Gate(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        weighed: Tensor = x * self.gate(x.mean(dim=(2, 3), keepdim=True))
        return weighed


class _Merge(nn.Module):
    """A coarser map, enlarged and smoothed, beside a finer one; a 1x1 convolution mixes both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.smooth = _Block(width, width)
        self.mix = _Block(2 * width, width, kernel=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        merged: Tensor = self.mix(torch.cat([self.smooth(_enlarge(coarse, fine)), fine], dim=1))
        return merged


class SegmentationNetwork(ModelMixin, ConfigMixin):
    """Colour image to class scores; sides of 32 pixels and more, any size, no normalisation of the image.

    Args:
        labels: name of a label set or its class names, see `ldfusion.data.label_sets`.
        backbone: `timm` model with features at strides 8, 16 and 32; the paper's is ``resnet18``.
        options: further arguments of the backbone, e.g. ``{"channels": [24, 48, 96, 160]}`` for a narrow ResNet.
        width: channels of every layer after the backbone; the paper's is 128.
        auxiliary: channels of the auxiliary head; the paper's is 64.
        pretrained: fetch the backbone's ImageNet weights (for training; loaded weights replace them).
        working_side: short side in pixels at which `segment` and `probabilities` read a larger image: that of the
            images it was trained on, since it has learned how large things are; 0: every image at its own size.

    Raises:
        InputError: a working side below 32 pixels, an unknown backbone or option, no such strides, or pretrained
            weights that cannot be had.
    """

    @register_to_config
    def __init__(
        self,
        labels: str | Sequence[str] = "objects",
        backbone: str = "resnet18",
        options: Mapping[str, Any] | None = None,
        width: int = 128,
        auxiliary: int = 64,
        pretrained: bool = False,
        working_side: int = 0,
    ) -> None:
        super().__init__()
        if working_side and working_side < SMALLEST_SIDE:
            raise InputError(f"model.working_side={working_side}: must be {SMALLEST_SIDE} pixels or more, or 0")
        self.working_side = working_side
        self.classes: LabelSet = label_set(labels)
        self.features = _build_backbone(backbone, dict(options or {}), pretrained)
        self.register_to_config(pretrained=False)  # whoever loads the weights need not fetch the backbone's
        eighth, sixteenth, thirtysecond = self.features.feature_info.channels()
        self.refine8 = _Refinement(eighth, width)
        self.refine16 = _Refinement(sixteenth, width)
        self.refine32 = _Refinement(thirtysecond, width)
        self.merge16, self.merge8 = _Merge(width), _Merge(width)
        self.gate16, self.gate8 = _Gate(width), _Gate(width)
        self.join = _Block(width, width, kernel=1)
        self.head = nn.Sequential(_Block(width, width), nn.Conv2d(width, len(self.classes), 1))
        self.auxiliary_head = nn.Sequential(_Block(width, auxiliary), nn.Conv2d(auxiliary, len(self.classes), 1))

    def forward(self, image: Tensor, auxiliary: bool = True) -> Logits:
        """Class scores at full size.

        Args:
            image: (B, 3, H, W) in [0, 1], or (B, 1, H, W), which is repeated.
            auxiliary: also return the scores of the auxiliary head.

        Raises:
            InputError: a side below 32 pixels, or a batch of one while training (batch normalisation needs two).
        """
        if min(image.shape[-2:]) < SMALLEST_SIDE:
            h, w = image.shape[-2:]
            raise InputError(f"segmentation: image of {w}x{h} pixels; both sides must be {SMALLEST_SIDE} or more")
        if self.training and image.shape[0] < 2:
            raise InputError("segmentation is trained with two samples at once or more: raise train.batch")
        eighth, sixteenth, thirtysecond = self.features(image.expand(-1, 3, -1, -1))
        a8, a16, a32 = self.refine8(eighth), self.refine16(sixteenth), self.refine32(thirtysecond)
        middle = _enlarge(self.merge16(a32, a16), a8)
        fine = self.merge8(a16, a8)
        gated = self.gate16(_enlarge(a32, a8)) * middle
        gated = self.gate8(gated) * fine
        main = _enlarge(self.head(self.join(gated)), image)
        return Logits(main, _enlarge(self.auxiliary_head(a16), image) if auxiliary else None)

    @torch.no_grad()
    def segment(self, image: Tensor) -> Tensor:
        """Class ids (B, H, W) int64 of (B, 3, H, W) or (B, 1, H, W) in [0, 1]; for inference, see `eval`."""
        return self._scores(image).argmax(dim=1)

    @torch.no_grad()
    def probabilities(self, image: Tensor) -> Tensor:
        """Class probabilities (B, K, H, W) float32 of (B, 3, H, W) or (B, 1, H, W) in [0, 1]."""
        return self._scores(image).softmax(dim=1)

    def _scores(self, image: Tensor) -> Tensor:
        """Scores of the main head; an image above `LARGEST_SIDE` or the working side is read at that size."""
        h, w = image.shape[-2:]
        shrink = min(LARGEST_SIDE / max(h, w), (self.working_side or LARGEST_SIDE) / min(h, w))
        if shrink >= 1:
            return self(image, auxiliary=False).main.float()
        small = resize(image, (max(SMALLEST_SIDE, round(h * shrink)), max(SMALLEST_SIDE, round(w * shrink))))
        return _enlarge(self(small, auxiliary=False).main.float(), image)


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


def _build_backbone(name: str, options: dict[str, Any], pretrained: bool) -> Any:
    if not timm.is_model(name):
        raise InputError(f"model.backbone: timm has no '{name}'; {nearest(name, timm.list_models())}")
    try:
        info: Any = timm.create_model(name, features_only=True, **options).feature_info
        indices = [info.reduction().index(stride) for stride in STRIDES]
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"model.backbone={name} with {options}: no features at strides {STRIDES} ({reason})"
        ) from error
    try:
        return timm.create_model(name, features_only=True, out_indices=indices, pretrained=pretrained, **options)
    except Exception as error:
        if not pretrained:
            raise
        raise InputError(
            f"model.pretrained: the weights of '{name}' cannot be had ({str(error).splitlines()[0]}); "
            "connect to the hub, or use model.pretrained=false"
        ) from error


def load_segmenter(folder: str | Path = "", device: str | torch.device = "cpu") -> SegmentationNetwork:
    """The segmentation network of a folder, by default the embedded one, in evaluation mode.

    Its ``classes`` name the classes; `SegmentationNetwork.segment` gives their ids. The embedded one was trained on
    visible, infrared and fused images.

    Raises:
        InputError: no weights of a segmentation network there.
    """
    network = load(SegmentationNetwork, "segmentation", folder)
    return network.to(device, memory_format=torch.channels_last)

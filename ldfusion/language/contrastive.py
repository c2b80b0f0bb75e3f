"""Pairs and sentences in one space: the image tower beside `TextEncoder`, and both trained together as CLIP.

Two towers of open_clip make a CLIP of a small custom config (Radford et al. 2021). The image tower sees a registered
pair and its depth: three channels as in CLIP, but luma, infrared and inverse depth instead of red, green and blue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.io.color import luma
from ldfusion.language.labels import LABELS
from ldfusion.language.text import TextEncoder

MAX_LOGIT_SCALE = math.log(100)
"""Bound of the logarithm of the inverse temperature (CLIP, section 2.5)."""
GREY_MEAN, GREY_STD = 0.4, 0.25
"""About the mean and the spread of both modalities, for inputs of order one."""


class PairEncoder(ModelMixin, ConfigMixin):
    """A registered pair and its depth maps to a feature (B, D) in the space of the text features.

    Args:
        dim: width D of the feature.
        width, heads, layers, mlp_ratio: the vision transformer.
        image_size: height and width that inputs are resized to, pixels.
        patch_size: side of a patch, pixels.
        labels: what the linear head on the feature tells to be present.
    """

    @register_to_config
    def __init__(
        self,
        dim: int = 128,
        width: int = 128,
        heads: int = 4,
        layers: int = 4,
        mlp_ratio: float = 4.0,
        image_size: Sequence[int] = (128, 160),
        patch_size: int = 16,
        labels: Sequence[str] = LABELS,
    ) -> None:
        super().__init__()
        self.dim, self.labels = dim, tuple(labels)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.tower = VisionTransformer(
            image_size=self.image_size,
            patch_size=patch_size,
            width=width,
            layers=layers,
            heads=heads,
            mlp_ratio=mlp_ratio,
            pool_type="avg",
            output_dim=dim,
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.label_head = nn.Linear(dim, len(self.labels))

    def forward(self, visible: Tensor, infrared: Tensor, depth_visible: Tensor, depth_infrared: Tensor) -> Tensor:
        """Features (B, D), not normalised.

        Args:
            visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W) in [0, 1].
            depth_visible, depth_infrared: relative inverse depth of each modality, (B, 1, H, W), any scale and shift.
        """
        greys = [(x - GREY_MEAN) / GREY_STD for x in (luma(visible), infrared)]
        depth = (standardise(depth_visible) + standardise(depth_infrared)) / 2
        channels = torch.cat([*greys, depth], dim=1)
        resized = F.interpolate(channels, self.image_size, mode="bilinear", align_corners=False, antialias=True)
        features: Tensor = self.tower(resized)
        return features


def standardise(depth: Tensor) -> Tensor:
    """Each map (B, 1, H, W) to mean 0 and standard deviation 1; a constant one to 0."""
    mean, std = depth.mean((-2, -1), keepdim=True), depth.std((-2, -1), keepdim=True)
    return (depth - mean) / std.clamp_min(1e-6)


class TowerOutput(NamedTuple):
    """What `ContrastiveModel` computes for a batch."""

    pair: Tensor
    """Features of the pairs, (B, D), not normalised."""
    text: Tensor
    """Features of the sentences, (N, D), not normalised."""
    pair_logits: Tensor
    """Labels present in the pairs, (B, K)."""
    text_logits: Tensor
    """Labels named in the sentences, (N, K)."""
    logit_scale: Tensor
    """Inverse temperature of the contrastive logits, a number in (0, 100]."""


class ContrastiveModel(nn.Module):
    """Both towers as one network, so that one forward pass holds all that a training step needs."""

    def __init__(self, text: TextEncoder, pair: PairEncoder) -> None:
        super().__init__()
        if text.dim != pair.dim or text.labels != pair.labels:
            raise ValueError("both towers need the same dim and the same labels")
        self.text, self.pair = text, pair

    def forward(
        self, visible: Tensor, infrared: Tensor, depth_visible: Tensor, depth_infrared: Tensor, tokens: Tensor
    ) -> TowerOutput:
        """Inputs as `PairEncoder.forward`; token ids (N, context_length)."""
        pair = self.pair.forward(visible, infrared, depth_visible, depth_infrared)
        text = self.text.forward(tokens)
        scale = self.pair.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        return TowerOutput(pair, text, self.pair.label_head(pair), self.text.label_logits(text), scale)


def similarity(pair: Tensor, text: Tensor) -> Tensor:
    """Cosine similarity of features (B, D) and (N, D): (B, N) in [-1, 1]."""
    return F.normalize(pair, dim=-1) @ F.normalize(text, dim=-1).T


def recall_at(similarities: Tensor, k: int) -> float:
    """Share of rows whose own column, the diagonal one, is among the ``k`` most similar; ties count against it.

    Args:
        similarities: (N, N), row: query, column: candidate.
    """
    own = similarities.diagonal()[:, None]
    others = ~torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    better = ((similarities >= own) & others).sum(dim=1)
    return (better < k).float().mean().item()

"""`DepthCaptioner`: sentences from a visible image, an infrared image and the depth of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from captioning.decoder import CaptionDecoder
from captioning.encoder import PairEncoder, stack_inputs
from captioning.heads import FACT_COUNT, FactHeads, FactLogits
from captioning.vocabulary import Vocabulary

MASK_CLASSES = 4
"""Classes of the auxiliary object mask: background, car, person, bike (MSRS ids)."""


@dataclass
class CaptionerOutput:
    """`logits` (B, S, L, vocabulary) of each next word, `facts`, and `mask` (B, 4, h/8, w/8) logits of the objects."""

    logits: Tensor
    facts: FactLogits
    mask: Tensor


class DepthCaptioner(ModelMixin, ConfigMixin):
    """A convolutional encoder and a causal transformer decoder, trained together with heads for the scene facts.

    The decoder attends to the encoder's places and to what the fact heads believe: with a few hundred captions to learn
    from, the facts are what makes sentences true. Which kind of sentence comes out is chosen by its start token (see
    `captioning.vocabulary.STYLES`).

    Args:
        words: the ordinary words of the vocabulary, saved with the configuration.
        size: height and width at which the images are looked at, multiples of 16.
        widths, blocks: of `PairEncoder`.
        width, layers, heads, max_length: of `CaptionDecoder`.
        dropout: of the decoder and the fact heads.
    """

    @register_to_config
    def __init__(
        self,
        words: Sequence[str],
        size: Sequence[int] = (192, 256),
        widths: Sequence[int] = (32, 48, 96, 192),
        blocks: Sequence[int] = (1, 2, 2),
        width: int = 192,
        layers: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
        max_length: int = 80,
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(words)
        self.size = (int(size[0]), int(size[1]))
        if self.size[0] % 16 or self.size[1] % 16:
            raise ValueError(f"size {self.size}: height and width must be multiples of 16")
        self.encoder = PairEncoder(widths, blocks, dropout)
        self.fact_heads = FactHeads(widths[2], dropout=dropout)
        self.mask_head = nn.Conv2d(widths[2], MASK_CLASSES, 1)
        self.project = nn.Linear(widths[3], width)
        self.places = nn.Parameter(torch.randn(self.size[0] // 16 * (self.size[1] // 16), width) * 0.02)
        self.fact_token = nn.Sequential(nn.Linear(FACT_COUNT, 4 * width), nn.Dropout(dropout))
        self.decoder = CaptionDecoder(len(self.vocabulary), width, layers, heads, dropout, max_length)

    def encode(
        self,
        visible: Tensor,
        infrared: Tensor,
        depth_visible: Tensor,
        depth_infrared: Tensor,
        shown: Tensor | None = None,
    ) -> tuple[Tensor, FactLogits, Tensor]:
        """Memory (B, M, width) for the decoder, facts, and object mask logits (B, 4, h/8, w/8).

        Args:
            visible: (B, 3, H, W) in [0, 1].
            infrared: (B, 1, H, W) in [0, 1].
            depth_visible, depth_infrared: (B, 1, h, w) relative inverse depth; scale and size are free.
            shown: (B, `FACT_COUNT`) facts that the decoder reads in place of the predicted ones (see
                `captioning.heads.fact_vector`); rows of NaN are read as predicted.
        """
        coarse, fine = self.encoder(stack_inputs(visible, infrared, depth_visible, depth_infrared, self.size))
        facts = self.fact_heads(fine)
        seen = self.project(coarse.flatten(2).transpose(1, 2)) + self.places
        # The decoder reads the facts but does not bend them: they answer to their own losses.
        believed = facts.probabilities().detach()
        if shown is not None:
            believed = torch.where(shown.isnan(), believed, shown.to(believed))
        told = self.fact_token(believed).unflatten(1, (4, -1))
        return torch.cat([told, seen], dim=1), facts, self.mask_head(fine)

    def forward(
        self,
        visible: Tensor,
        infrared: Tensor,
        depth_visible: Tensor,
        depth_infrared: Tensor,
        tokens: Tensor,
        shown: Tensor | None = None,
    ) -> CaptionerOutput:
        """Teacher-forced pass; `tokens` (B, S, L) int64 holds S sentences per image, each from its start token on."""
        memory, facts, mask = self.encode(visible, infrared, depth_visible, depth_infrared, shown)
        sentences = tokens.shape[1]
        logits, _ = self.decoder(tokens.flatten(0, 1), self.decoder.start(memory).repeat(sentences))
        return CaptionerOutput(logits.unflatten(0, (-1, sentences)), facts, mask)

    @torch.no_grad()
    def describe(
        self,
        visible: Tensor,
        infrared: Tensor,
        depth_visible: Tensor,
        depth_infrared: Tensor,
        style: str = "report",
        beams: int = 3,
    ) -> list[dict[str, Any]]:
        """Per image `caption` (a sentence), `style` and `facts` (see `FactLogits.read`); arguments as in `encode`."""
        from captioning.decode import beam_search

        memory, facts, _ = self.encode(visible, infrared, depth_visible, depth_infrared)
        sentences = beam_search(self.decoder, self.vocabulary, memory, style, beams)
        return [
            {"caption": sentence, "style": style, "facts": read}
            for sentence, read in zip(sentences, facts.read(), strict=True)
        ]

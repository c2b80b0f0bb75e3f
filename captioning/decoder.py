"""The word side of the captioner: a causal transformer decoder with cross-attention and a key-value cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeyValue = tuple[Tensor, Tensor]


@dataclass
class DecoderState:
    """Keys and values (B, heads, length, width/heads) of each layer: of the memory, and of the words said so far."""

    memory: list[KeyValue]
    said: list[KeyValue | None]
    length: int = 0

    def repeat(self, times: int) -> DecoderState:
        """The fresh state of `times` sentences per batch row, those of one row side by side."""
        return DecoderState(
            [(key.repeat_interleave(times, 0), value.repeat_interleave(times, 0)) for key, value in self.memory],
            self.said,
        )

    def reorder(self, rows: Tensor) -> DecoderState:
        """The state whose row i has said what row `rows[i]` (N,) int64 has; both must look at the same image."""
        said = [None if past is None else (past[0][rows], past[1][rows]) for past in self.said]
        return DecoderState(self.memory, said, self.length)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) whose keys and values can be kept."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keep(self, x: Tensor) -> KeyValue:
        """Keys and values (B, heads, L, width / heads) of what is attended to (B, L, width)."""
        key, value = self.key_value(x).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, x: Tensor, kept: KeyValue, causal: bool = False) -> Tensor:
        """Attention of ``x`` (B, L, width) to kept keys and values; ``causal`` hides what comes later."""
        mixed = F.scaled_dot_product_attention(self._split(self.query(x)), *kept, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, each after its norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.itself = Attention(width, heads)
        self.cross = Attention(width, heads)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: KeyValue, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """The next ``x`` (B, L, width) and the keys and values of all words so far."""
        normed = self.norms[0](x)
        key, value = self.itself.keep(normed)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        x = x + self.dropout(self.itself(normed, (key, value), causal=past is None))
        x = x + self.dropout(self.cross(self.norms[1](x), memory))
        return x + self.dropout(self.feed(self.norms[2](x))), (key, value)


class CaptionDecoder(nn.Module):
    """Predicts the next word from the words before it and from the memory of the images.

    Args:
        vocabulary_size: number of words; the output shares its matrix with the input embedding.
        width, layers, heads: size of the transformer.
        dropout: share dropped in training.
        max_length: longest sequence, tokens.
    """

    def __init__(
        self, vocabulary_size: int, width: int = 192, layers: int = 3, heads: int = 4, dropout: float = 0.1,
        max_length: int = 80,
    ) -> None:  # fmt: skip
        super().__init__()
        self.words = nn.Embedding(vocabulary_size, width)
        self.places = nn.Embedding(max_length, width)
        self.layers = nn.ModuleList(DecoderLayer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.words.weight, std=width**-0.5)
        nn.init.normal_(self.places.weight, std=0.02)

    @property
    def blocks(self) -> list[DecoderLayer]:
        """The layers."""
        return [cast(DecoderLayer, layer) for layer in self.layers]

    def start(self, memory: Tensor) -> DecoderState:
        """The state before the first word, from the memory (B, M, width)."""
        kept = [layer.cross.keep(memory) for layer in self.blocks]
        return DecoderState(kept, [None] * len(kept))

    def forward(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Logits (B, L, vocabulary) of the words after `tokens` (B, L) int64, and the state with them said.

        A whole sequence goes in at once on a fresh state (training), or one token at a time on a state that grows.
        """
        places = torch.arange(state.length, state.length + tokens.shape[1], device=tokens.device)
        x = self.dropout(self.words(tokens) * self.words.embedding_dim**0.5 + self.places(places))
        said: list[KeyValue | None] = []
        for layer, memory, past in zip(self.blocks, state.memory, state.said, strict=True):
            x, kept = layer(x, memory, past)
            said.append(kept)
        logits = F.linear(self.norm(x), self.words.weight)
        return logits, DecoderState(state.memory, said, state.length + tokens.shape[1])

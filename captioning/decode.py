"""Sentences from a decoder: greedy and beam search, batched and deterministic."""

from __future__ import annotations

import torch
from torch import Tensor

from captioning.decoder import CaptionDecoder
from captioning.vocabulary import DEFAULT_STYLE, Vocabulary


@torch.no_grad()
def greedy_search(
    decoder: CaptionDecoder, vocabulary: Vocabulary, memory: Tensor, style: str = DEFAULT_STYLE
) -> list[str]:
    """The sentence of the most likely word at each step, for every row of `memory` (B, M, width)."""
    return beam_search(decoder, vocabulary, memory, style, beams=1)


@torch.no_grad()
def beam_search(
    decoder: CaptionDecoder,
    vocabulary: Vocabulary,
    memory: Tensor,
    style: str = DEFAULT_STYLE,
    beams: int = 3,
    length_power: float = 1.0,
) -> list[str]:
    """The likeliest sentence found with `beams` candidates per row of `memory` (B, M, width).

    Sentences are compared by log-probability / length**`length_power` (Wu et al. 2016, arXiv 1609.08144, eq. 14 with
    its simplest penalty), so that short ones are not favoured. Unknown words are never said.

    Raises:
        ValueError: unknown style, or no beam.
    """
    if beams < 1:
        raise ValueError(f"beams={beams}: at least 1 is needed")
    rows, device = len(memory), memory.device
    longest = decoder.places.num_embeddings
    numbers = torch.full((rows * beams, 1), vocabulary.style(style), dtype=torch.int64, device=device)
    scores = torch.full((rows, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0  # all beams start equal: only the first may branch
    done = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    lengths = torch.zeros(rows, beams, device=device)
    offsets = torch.arange(rows, device=device)[:, None] * beams
    state = decoder.start(memory).repeat(beams)
    banned = torch.tensor(vocabulary.never_said, device=device)
    for place in range(longest - 1):
        logits, state = decoder(numbers[:, -1:], state)
        logits[:, 0, banned] = -torch.inf
        if place == longest - 2:  # the last word a sequence has room for ends the sentence
            logits[:, 0, torch.arange(logits.shape[-1], device=device) != vocabulary.eos] = -torch.inf
        gains = logits[:, 0].log_softmax(-1).view(rows, beams, -1)
        # A finished sentence stays as it is: its only next token is a pad at no cost.
        gains[done] = -torch.inf
        gains[..., vocabulary.pad][done] = 0.0
        totals = scores[..., None] + gains
        grown = (lengths + (~done).float())[..., None].clamp(min=1)
        best = (totals / grown**length_power).flatten(1).topk(beams, dim=1).indices
        source, word = best // gains.shape[-1], best % gains.shape[-1]
        scores = totals.flatten(1).gather(1, best)
        lengths = grown[..., 0].gather(1, source)
        done = done.gather(1, source) | (word == vocabulary.eos)
        chosen = (offsets + source).flatten()
        numbers = torch.cat([numbers[chosen], word.view(-1, 1)], dim=1)
        if bool(done.all()):
            break
        state = state.reorder(chosen)
    winners = (scores / lengths**length_power).argmax(1)
    return [
        vocabulary.decode(sentence.tolist())
        for sentence in numbers.view(rows, beams, -1)[torch.arange(rows, device=device), winners, 1:]
    ]

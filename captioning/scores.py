"""How near sentences come to reference sentences: BLEU-4, CIDEr-D and the loss per token."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from captioning.vocabulary import words_of

Grams = Counter[tuple[str, ...]]


def bleu4(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU with n-grams up to 4 and brevity penalty (Papineni et al. 2002), in [0, 1], without smoothing.

    Sentences are compared as lower-case words and marks.

    Raises:
        ValueError: not one non-empty list of references per candidate.
    """
    from torchmetrics.functional.text import bleu_score

    _check(candidates, references)
    return float(
        bleu_score([_spaced(text) for text in candidates], [[_spaced(r) for r in refs] for refs in references])
    )


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]], sigma: float = 6.0) -> float:
    """CIDEr-D (Vedantam, Zitnick and Parikh 2015, arXiv 1411.5726, section 6), mean over the images, in [0, 10].

    Weighted n-grams of length 1 to 4 are compared by a clipped cosine, times a Gaussian of the length difference, times
    10. Document frequencies are counted over the images of the given references; words are not stemmed.

    Args:
        candidates: one sentence per image.
        references: the reference sentences of each image.
        sigma: width of the length penalty, words.

    Raises:
        ValueError: not one non-empty list of references per candidate.
    """
    _check(candidates, references)
    wanted = [[_grams(text) for text in refs] for refs in references]
    seen_in = [
        Counter(gram for gram in set().union(*(grams[n] for grams in refs))) for refs in wanted for n in range(4)
    ]
    frequency: Grams = sum(seen_in, Counter())
    log_images = math.log(max(len(candidates), 1))
    weight = {gram: log_images - math.log(count) for gram, count in frequency.items()}
    total = 0.0
    for text, refs in zip(candidates, wanted, strict=True):
        said = _grams(text)
        for grams in refs:
            penalty = math.exp(-((_length(said) - _length(grams)) ** 2) / (2 * sigma**2))
            likeness = sum(_clipped_cosine(said[n], grams[n], weight, log_images) for n in range(4)) / 4
            total += 10 * penalty * likeness / len(refs)
    return total / len(candidates)


def token_loss(logits: Tensor, targets: Tensor, pad: int, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy per real token, nats.

    Args:
        logits: (..., L, vocabulary).
        targets: (..., L) int64; `pad` is left out.
        smoothing: label smoothing in [0, 1).
    """
    return F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), targets.reshape(-1), ignore_index=pad, label_smoothing=smoothing
    )


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not candidates or len(candidates) != len(references) or not all(references):
        raise ValueError(
            f"{len(candidates)} sentences need as many non-empty lists of references, got {len(references)}"
        )


def _spaced(text: str) -> str:
    return " ".join(words_of(text))


def _grams(text: str) -> list[Grams]:
    words = words_of(text)
    return [Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for n in range(1, 5)]


def _length(grams: Sequence[Grams]) -> int:
    return grams[0].total()


def _clipped_cosine(said: Grams, wanted: Grams, weight: dict[tuple[str, ...], float], unseen: float) -> float:
    """Eq. 2 with the clipping of CIDEr-D: a gram said too often counts no more than in the reference."""
    dot = sum(min(said[g], count) * count * weight[g] ** 2 for g, count in wanted.items() if g in said)
    norm = _norm(said, weight, unseen) * _norm(wanted, weight, unseen)
    return dot / norm if norm > 0 else 0.0


def _norm(grams: Grams, weight: dict[tuple[str, ...], float], unseen: float) -> float:
    return math.sqrt(sum((count * weight.get(gram, unseen)) ** 2 for gram, count in grams.items()))

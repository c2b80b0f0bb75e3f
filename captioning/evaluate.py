"""Scores of a captioner beside the baseline that always says the most frequent training caption."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from captioning.decode import beam_search
from captioning.facts import Facts, classes_in, most_salient, read_facts, write_report
from captioning.lexicon import TARGETS
from captioning.network import DepthCaptioner
from captioning.scores import bleu4, cider_d, token_loss
from captioning.vocabulary import DEFAULT_STYLE, STYLES, Vocabulary, words_of

Record = Mapping[str, Any]
"""Facts with `captions`, the three human sentences in the order of the first three styles."""


def sentence(record: Record, style: str) -> str:
    """The reference sentence of a style: a human one, or the report written from the facts."""
    return write_report(record) if style == DEFAULT_STYLE else record["captions"][STYLES.index(style)]


def pad_tokens(sequences: Sequence[Sequence[int]], pad: int) -> Tensor:
    """Sequences side by side, (N, longest) int64, filled up with `pad`."""
    longest = max(map(len, sequences))
    return torch.tensor([[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences])


class FrequentCaption:
    """The baseline: one fixed sentence per style and the word frequencies of that style, both from the training set.

    The sentence is the most frequent one. Where several are equally frequent (human sentences are all different), it is
    the medoid of them: the highest mean cosine of tf-idf word vectors with all sentences of the style; then file order.

    Args:
        records: training pairs.
        vocabulary: the words over which token losses are compared.
    """

    def __init__(self, records: Sequence[Record], vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.captions: dict[str, str] = {}
        self.log_frequency: dict[str, Tensor] = {}
        for style in STYLES:
            sentences = [sentence(record, style) for record in records]
            self.captions[style] = _most_frequent(sentences)
            numbers = [n for text in sentences for n in vocabulary.encode(text, style)[1:]]
            counts = torch.bincount(torch.tensor(numbers), minlength=len(vocabulary)).float()
            self.log_frequency[style] = (
                (counts + 1) / (counts.sum() + len(vocabulary))
            ).log()  # Laplace: no word is impossible

    def token_loss(self, sentences: Iterable[str], style: str) -> float:
        """Mean cross-entropy per token, nats, of the unigram distribution of the training sentences."""
        numbers = [n for text in sentences for n in self.vocabulary.encode(text, style)[1:]]
        return float(-self.log_frequency[style][torch.tensor(numbers)].mean())


def fact_scores(candidates: Sequence[str], facts: Sequence[Facts]) -> dict[str, float]:
    """Facts that sentences get right, each in [0, 1].

    `light`: the right light is named. `precision`, `recall` and `f1` of the target classes named (people, vehicles,
    bikes; micro-averaged). `position` and `distance`: those of the main target named are those of the true one. What a
    sentence does not say is not right.
    """
    right: dict[str, float] = defaultdict(float)
    for text, scene in zip(candidates, facts, strict=True):
        read, main = read_facts(text), most_salient(scene)
        named, present = read.classes & set(TARGETS), classes_in(scene) & set(TARGETS)
        right["named"] += len(named)
        right["present"] += len(present)
        right["both"] += len(named & present)
        right["light"] += read.light == scene["light"]
        if main is not None and read.target is not None:
            right["position"] += read.target.position == main["position"]
            right["distance"] += read.target.distance == main["distance"]
    precision = right["both"] / max(right["named"], 1)
    recall = right["both"] / max(right["present"], 1)
    f1 = 2 * right["both"] / max(right["named"] + right["present"], 1)
    shares = {name: right[name] / max(len(candidates), 1) for name in ("light", "position", "distance")}
    return {**shares, "precision": precision, "recall": recall, "f1": f1}


@torch.no_grad()
def caption_scores(
    network: DepthCaptioner,
    batches: Iterable[Mapping[str, Any]],
    baseline: FrequentCaption,
    beams: int = 3,
) -> tuple[dict[str, dict[str, dict[str, float]]], list[dict[str, str]]]:
    """All scores per style, ours beside the baseline's, and the sentences themselves.

    Args:
        network: in evaluation mode.
        batches: mappings with `visible`, `infrared`, `depth_visible`, `depth_infrared` (tensors as in
            `DepthCaptioner.encode`), `facts` and `captions` (lists, one entry per image).
        baseline: fitted on the training pairs.
        beams: of the search.

    Returns:
        style -> "network" or "baseline" -> name -> value, with `token_loss` (nats), `bleu4`, `cider` and those of
        `fact_scores`; and one mapping style -> sentence per image.
    """
    vocabulary = network.vocabulary
    records: list[Record] = []
    said: list[dict[str, str]] = []
    losses: dict[str, list[tuple[float, int]]] = {style: [] for style in STYLES}
    for batch in batches:
        new = [{**scene, "captions": texts} for scene, texts in zip(batch["facts"], batch["captions"], strict=True)]
        memory, _, _ = network.encode(*(batch[k] for k in ("visible", "infrared", "depth_visible", "depth_infrared")))
        spoken = {style: beam_search(network.decoder, vocabulary, memory, style, beams) for style in STYLES}
        for style in STYLES:
            longest = network.config["max_length"]
            sequences = [vocabulary.encode(sentence(record, style), style, longest) for record in new]
            tokens = pad_tokens(sequences, vocabulary.pad).to(memory.device)
            logits, _ = network.decoder(tokens[:, :-1], network.decoder.start(memory))
            count = int((tokens[:, 1:] != vocabulary.pad).sum())
            losses[style].append((float(token_loss(logits, tokens[:, 1:], vocabulary.pad)), count))
        records += new
        said += [{style: spoken[style][row] for style in STYLES} for row in range(len(new))]
    scores: dict[str, dict[str, dict[str, float]]] = {}
    for style in STYLES:
        references = [[sentence(record, style)] for record in records]
        tokens_in_all = sum(count for _, count in losses[style])
        ours = sum(loss * count for loss, count in losses[style]) / tokens_in_all
        theirs = baseline.token_loss((text for (text,) in references), style)
        scores[style] = {
            "network": _all_scores([row[style] for row in said], references, records, ours),
            "baseline": _all_scores([baseline.captions[style]] * len(records), references, records, theirs),
        }
    return scores, said


def _all_scores(
    candidates: Sequence[str], references: Sequence[Sequence[str]], records: Sequence[Record], loss: float
) -> dict[str, float]:
    words = {"token_loss": loss, "bleu4": bleu4(candidates, references), "cider": cider_d(candidates, references)}
    return {**words, **fact_scores(candidates, records)}


def _most_frequent(sentences: Sequence[str]) -> str:
    counts = Counter(sentences)
    most = max(counts.values())
    tied = [text for text, count in counts.items() if count == most]
    if len(tied) == 1:
        return tied[0]
    return max(tied, key=_Centrality(sentences))


class _Centrality:
    """How near a sentence is to all others: mean share of weighted words in common (cosine of tf-idf vectors)."""

    def __init__(self, sentences: Sequence[str]) -> None:
        bags = [Counter(words_of(text)) for text in sentences]
        frequency = Counter(word for bag in bags for word in bag)
        self.weight = {word: math.log(len(bags) / count) for word, count in frequency.items()}
        self.mean: dict[str, float] = defaultdict(float)
        for bag in bags:
            for word, value in self._unit(bag).items():
                self.mean[word] += value

    def _unit(self, bag: Counter[str]) -> dict[str, float]:
        vector = {word: count * self.weight.get(word, 0.0) for word, count in bag.items()}
        norm = math.sqrt(sum(value * value for value in vector.values()))
        return {word: value / norm for word, value in vector.items()} if norm else {}

    def __call__(self, text: str) -> float:
        return sum(value * self.mean[word] for word, value in self._unit(Counter(words_of(text))).items())

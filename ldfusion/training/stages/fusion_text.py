"""The sentences that the stage ``fusion`` trains with: right ones, wrong ones, commands, and others to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captioning.facts import read_facts, write_report

TARGETS = {"car": ("car", "truck", "bus"), "person": ("person",), "bike": ("bicycle", "motorcycle")}
"""Mask class (ids 1, 2, 3) -> classes of the sentences that name it."""
COMMANDS = ("highlight the {}", "show me the {}", "{} in the scene", "where is the {}", "emphasise every {}", "a {}")
WORDS = {
    "car": ("car", "cars", "vehicle"),
    "person": ("person", "people", "pedestrian"),
    "bike": ("bicycle", "motorcycle", "bike"),
}


@dataclass
class FusionSample:
    """What a training sample is given beside the pair, and at which size the networks see it."""

    wrong: float = 0.3
    """Share of samples that are given the caption of another pair."""
    command: float = 0.25
    """Share of samples that are given a short command naming some targets."""
    compared: float = 0.3
    """Share of the samples with their own caption that are compared with themselves under another pair's."""
    toned: float = 0.3
    """Share of samples that are asked for another tone than the natural one."""
    shrink: float = 2.2
    """Largest factor by which a training sample is shrunk to its working copy, 1 to this, drawn for every step."""


def named_targets(texts: Sequence[str]) -> Tensor:
    """1 where a sentence names the mask class, (B, 3), classes in the order of the mask ids."""
    rows = []
    for text in texts:
        names = {mention.name for mention in read_facts(text).mentions}
        rows.append([float(bool(names & set(classes))) for classes in TARGETS.values()])
    return torch.tensor(rows)


def draw_sentences(batch: Mapping[str, Any], shares: FusionSample) -> tuple[list[str], dict[int, str]]:
    """The sentence that each sample is trained with, and for some one that names other targets, by their index.

    Both are functions of the sample's seed. A command names what is there, if anything is.
    """
    out, others = [], {}
    for k, seed in enumerate(batch["seed"].tolist()):
        rng = np.random.default_rng([seed, 7])
        u = rng.random()
        if u < shares.command:
            there = [target for i, target in enumerate(TARGETS, start=1) if bool((batch["mask"][k] == i).any())]
            target = str(rng.choice(there or list(TARGETS)))
            other = str(rng.choice([name for name in TARGETS if name != target]))
            commands = [str(rng.choice(COMMANDS)).format(rng.choice(WORDS[name])) for name in (target, other)]
            out.append(commands[0])
            others[k] = commands[1]
            continue
        # a wrong sentence comes with the sample, so that it does not depend on how a batch is shared out
        words = {key: batch[key][k] for key in ("facts", "captions")}
        if u < shares.command + shares.wrong:
            words = batch["other"][k]
        out.append(_describe(words, rng))
        if u >= shares.command + shares.wrong and rng.random() < shares.compared:
            second = _describe(batch["other"][k], rng)
            if (named_targets([second]) != named_targets(out[-1:])).any():
                others[k] = second
    return out, others


def _describe(words: Mapping[str, Any], rng: np.random.Generator) -> str:
    """A report or a caption of a pair."""
    return write_report(words["facts"]) if rng.random() < 0.5 else str(rng.choice(words["captions"]))


def with_reports(loader: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Batches of one pair each with its ``report``, and as ``wrong`` the first later one's that misses a target of it.

    Where there is none, ``wrong`` is the right report again.
    """
    batches = list(loader)
    reports = [write_report(batch["facts"][0]) for batch in batches]
    named = named_targets(reports)
    for k, batch in enumerate(batches):
        later = ((k + j) % len(batches) for j in range(1, len(batches)))
        wrong = next((j for j in later if (named[k] > named[j]).any()), k)
        yield {**batch, "report": reports[k], "wrong": reports[wrong]}

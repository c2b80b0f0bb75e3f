"""What the label heads of both towers predict: the classes and the light, and where the main target is and how far.

With a few hundred pairs the contrastive loss alone leaves much of a sentence unread. The labels say what a feature must
carry for the fusion: for a sentence what it names, for a pair what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from captioning.facts import classes_in, most_salient, read_facts
from captioning.lexicon import CLASSES, DISTANCES, HAZES, LIGHTS, POSITIONS

TARGET_LABELS = tuple(f"target {word}" for word in (*POSITIONS, *DISTANCES))
LABELS = (*CLASSES, *LIGHTS, *HAZES, *TARGET_LABELS)
"""Object classes, lights, and position and distance of the main target (a person before vehicles before the rest)."""


def named_in(text: str) -> frozenset[str]:
    """Labels that a sentence names."""
    facts = read_facts(text)
    target = facts.target
    place = (target.position, target.distance) if target is not None else ()
    return _chosen({*facts.classes, facts.light, *(f"target {word}" for word in place)})


def present_in(facts: Mapping[str, Any]) -> frozenset[str]:
    """Labels that hold for a pair with these facts (``light``, ``objects``)."""
    target = most_salient(facts)
    place = (target["position"], target["distance"]) if target is not None else ()
    return _chosen({*classes_in(facts), facts["light"], *(f"target {word}" for word in place)})


def label_targets(labels: Iterable[frozenset[str]]) -> Tensor:
    """1 where a label holds, (B, K) float32, in the order of ``LABELS``."""
    return torch.tensor([[float(name in found) for name in LABELS] for found in labels])


def _chosen(names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(LABELS) & frozenset(names)

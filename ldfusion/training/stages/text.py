"""Stage ``text``: the embedded text encoder, trained as half of a CLIP on pairs and captions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import ClipLoss
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from captioning.facts import write_report
from captioning.mirror import mirror
from ldfusion.config import Experiment, check_arguments
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_captions
from ldfusion.errors import InputError
from ldfusion.io.image import write_png
from ldfusion.language.contrastive import ContrastiveModel, PairEncoder, recall_at, similarity
from ldfusion.language.labels import LABELS, label_targets, named_in, present_in
from ldfusion.language.prompts import PHRASES, draw_prompt
from ldfusion.language.text import TextEncoder
from ldfusion.language.tokenizer import select_merges
from ldfusion.training.stages import Measured, Stage

INPUTS = ("visible", "infrared", "depth_visible", "depth_infrared")
STYLES = ("scene", "targets", "sensors", "report")
"""The three human captions of a pair, in the order of the caption file, and the report written from its facts."""
CHECKED = ("person", "car", "bicycle")


def sentences(record: Mapping[str, Any], captions: Sequence[str]) -> list[str]:
    """The sentences that describe a pair: its captions and the report of its facts."""
    return [*captions, write_report(record)]


@dataclass
class TextLoss:
    """Weights of the losses.

    The label losses are means over samples and over some thirty labels, hence their large weights: with small ones the
    contrastive loss takes the text tower, which then tells pairs apart without reading what a sentence names.
    """

    contrastive: float = 1.0
    named: float = 20.0
    """Labels named in captions and prompts, from the text feature."""
    present: float = 10.0
    """Labels present in pairs, from the pair feature."""


@dataclass
class TextSample:
    """What a step draws."""

    prompts: float = 1.0
    """Drawn prompts for each pair of the batch."""


class TextStage(Stage[ContrastiveModel]):
    """Trains a `TextEncoder` and a `PairEncoder` with CLIP's symmetric contrastive loss and label losses on both.

    ``model`` holds ``dim``, ``text`` (arguments of `TextEncoder`), ``pair`` (arguments of `PairEncoder`) and
    ``common_merges``, how many first merges of CLIP's vocabulary are kept beside those of the training captions.
    """

    Loss, Sample = TextLoss, TextSample
    weights: TextLoss
    settings: TextSample
    dataset_options: Mapping[str, bool] = {"depth": True, "captions": True}
    every = sys.maxsize

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        check_arguments(self._build, model, "model")
        self.data = data
        self.network = self._build(**model)
        self.tokenizer = self.network.text.tokenizer

    def _build(
        self,
        dim: int = 128,
        text: Mapping[str, Any] | None = None,
        pair: Mapping[str, Any] | None = None,
        common_merges: int = 1000,
    ) -> ContrastiveModel:
        check_arguments(TextEncoder.__init__, text or {}, "model.text")
        check_arguments(PairEncoder.__init__, pair or {}, "model.pair")
        merges = select_merges(self._training_texts(), common_merges)
        return ContrastiveModel(
            TextEncoder(dim=dim, merges=merges, labels=LABELS, **(text or {})),
            PairEncoder(dim=dim, labels=LABELS, **(pair or {})),
        )

    def _training_texts(self) -> list[str]:
        """Every sentence that training can show, mirrored ones included, and every name that a prompt can hold."""
        d = self.data
        records = read_captions(Path(d.root) / d.captions)
        texts = []
        for files in select_pairs(d.root, d.datasets, d.train_split, d.limit, d.catalog):
            if files.name not in records:
                raise InputError(f"{d.captions}: no captions for the pair '{files.name}'")
            texts += sentences(records[files.name], records[files.name]["captions"])
        phrases = [phrase for names in PHRASES.values() for phrase in names]
        return [*texts, *map(mirror, texts), *phrases]

    def _texts(self, batch: dict[str, Any]) -> list[str]:
        """One sentence for each pair, then the prompts; a function of the samples' seeds."""
        texts, prompts = [], []
        for k, seed in enumerate(batch["seed"].tolist()):
            rng = np.random.default_rng([seed, 11])
            choices = sentences(batch["facts"][k], batch["captions"][k])
            texts.append(choices[rng.integers(len(choices))])
            count = int(self.settings.prompts) + int(rng.random() < self.settings.prompts % 1)
            prompts += [draw_prompt(rng) for _ in range(count)]
        return texts + prompts

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Contrastive loss of pair and sentence features (B, dim), and label losses of both."""
        device = batch["visible"].device
        texts = self._texts(batch)
        out = network(*(batch[name] for name in INPUTS), self.tokenizer(texts).to(device))
        pairs = len(batch["seed"])
        named = label_targets(map(named_in, texts)).to(device)
        present = label_targets(map(present_in, batch["facts"])).to(device)
        losses = {
            "contrastive": contrastive_loss(out.pair, out.text[:pairs], out.logit_scale),
            "named": F.binary_cross_entropy_with_logits(out.text_logits.float(), named),
            "present": F.binary_cross_entropy_with_logits(out.pair_logits.float(), present),
        }
        w = self.weights
        losses["loss"] = (
            w.contrastive * losses["contrastive"] + w.named * losses["named"] + w.present * losses["present"]
        )
        return losses | {"logit_scale": out.logit_scale.detach()}

    def measure(self, network: ContrastiveModel, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """The pair features of a batch, its facts and its sentences."""
        pair = network.pair.forward(*(batch[name] for name in INPUTS))
        texts = [sentences(f, c) for f, c in zip(batch["facts"], batch["captions"], strict=True)]
        return Measured({"pair": pair, "facts": batch["facts"], "texts": texts})

    def figures(self, network: ContrastiveModel, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Retrieval among the validation pairs, with each style of sentence and with all of a pair's together.

        ``pair_to_text/STYLE/R@k`` is the share of pairs whose own sentence is among the k nearest; ``named/CLASS`` and
        ``present/CLASS`` are accuracies of the label heads, ``named/prompts`` the share of 200 fixed prompts of which
        every label is right. The similarities of the reports are written to ``similarity.png``.
        """
        pair = torch.cat([values["pair"] for values in found])
        facts, texts = ([item for values in found for item in values[name]] for name in ("facts", "texts"))
        text = {style: network.text.encode([t[k] for t in texts]) for k, style in enumerate(STYLES)}
        figures: dict[str, float] = {}
        together = torch.stack([F.normalize(features, dim=-1) for features in text.values()]).sum(dim=0)
        for style, features in {**text, "all": together}.items():
            similarities = similarity(pair, features)
            for k in (1, 5, 10):
                figures[f"pair_to_text/{style}/R@{k}"] = recall_at(similarities, k)
                figures[f"text_to_pair/{style}/R@{k}"] = recall_at(similarities.T, k)
        write_png(folder / "similarity.png", (similarity(pair, text["report"]).cpu()[None] + 1) / 2)

        every = [sentence for k in range(len(STYLES)) for sentence in (t[k] for t in texts)]
        named = network.text.label_logits(torch.cat(list(text.values()))) > 0
        figures |= label_accuracies(named, label_targets(map(named_in, every)), "named")
        present = network.pair.label_head(pair) > 0
        figures |= label_accuracies(present, label_targets(map(present_in, facts)), "present")
        prompts = [draw_prompt(np.random.default_rng([k, 13])) for k in range(200)]
        right = (network.text.named_classes(prompts) > 0.5).cpu() == label_targets(map(named_in, prompts)).bool()
        figures["named/prompts"] = right.all(dim=1).float().mean().item()
        return figures

    def export(self, network: ContrastiveModel, folder: Path) -> None:
        """The text encoder into ``folder``, the image tower into ``folder/pair_encoder``; each loads by its path."""
        network.text.save_pretrained(folder)
        network.pair.save_pretrained(folder / "pair_encoder")


def contrastive_loss(pair: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy over the pairs and sentences of all processes, mean over this process's own.

    Features (B, D) are normalised here. They are gathered with their gradients, so that the mean over processes is the
    loss, and its gradient the gradient, of one process with the whole batch.
    """
    many = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if many else (0, 1)
    clip = ClipLoss(local_loss=True, gather_with_grad=True, rank=rank, world_size=world)
    with torch.autocast(pair.device.type, enabled=False):  # the logits need more than the three digits of bfloat16
        loss: Tensor = clip(F.normalize(pair.float(), dim=-1), F.normalize(text.float(), dim=-1), logit_scale)
    return loss


def label_accuracies(found: Tensor, truth: Tensor, prefix: str) -> dict[str, float]:
    """Accuracy of each class of ``CHECKED`` and of all labels together; both (N, K)."""
    right = (found.cpu() == truth.bool()).float()
    accuracies = {f"{prefix}/{name}": right[:, LABELS.index(name)].mean().item() for name in CHECKED}
    return {**accuracies, f"{prefix}/all": right.mean().item()}

"""Stage ``captioner``: sentences and scene facts from a pair and its depth."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from captioning.evaluate import FrequentCaption, caption_scores, pad_tokens, sentence
from captioning.heads import fact_losses, fact_targets, fact_vector
from captioning.mirror import mirror
from captioning.network import CaptionerOutput, DepthCaptioner
from captioning.scores import token_loss
from captioning.vocabulary import DEFAULT_STYLE, STYLES, Vocabulary
from ldfusion.config import Experiment, check_keys
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_captions
from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write
from ldfusion.training.stages import Measured, Stage

DEPTHS = ("depth_visible", "depth_infrared")


@dataclass
class CaptionerLoss:
    """Weights of the report written from the facts, of a human sentence, of the auxiliary facts and the object mask."""

    report: float = 1.0
    free: float = 0.5
    grid: float = 1.0
    light: float = 0.5
    target: float = 0.5
    mask: float = 1.0
    smoothing: float = 0.1
    """Label smoothing of the words."""


@dataclass
class CaptionerSample:
    """What a training sample shows."""

    perturb: float = 1.0
    """Strength of the change of the depth maps: the teacher's are sharper than what a student sees later."""
    teach: float = 0.5
    """Share of samples whose decoder reads the true facts, so that it learns to heed them."""


class CaptionerStage(Stage[DepthCaptioner]):
    """Trains `DepthCaptioner` on the report and one human sentence of each pair, with facts and object masks beside.

    ``model`` holds the arguments of `DepthCaptioner` but its words; ``min_count``: how often a word must occur in the
    training sentences to be known; ``beams``: of the search in validation. ``loss`` is a `CaptionerLoss`, ``sample`` a
    `CaptionerSample`.
    """

    Loss, Sample = CaptionerLoss, CaptionerSample
    weights: CaptionerLoss
    settings: CaptionerSample
    dataset_options: Mapping[str, bool] = {"depth": True, "captions": True, "masks": True}

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        known = [
            name for name in inspect.signature(DepthCaptioner.__init__).parameters if name not in ("self", "words")
        ]
        check_keys(model, [*known, "min_count", "beams"], "model")
        pairs = select_pairs(data.root, data.datasets, data.train_split, data.limit, data.catalog)
        records = read_captions(Path(data.root) / data.captions)
        missing = [pair.name for pair in pairs if pair.name not in records]
        if missing:
            raise InputError(f"{data.captions}: no captions for {len(missing)} pairs, the first is '{missing[0]}'")
        self.records = [records[pair.name] for pair in pairs]
        texts = [sentence(record, style) for record in self.records for style in STYLES]
        sizes = dict(model)
        self.beams = int(sizes.pop("beams", 3))
        words = Vocabulary.build([*texts, *map(mirror, texts)], int(sizes.pop("min_count", 4)))
        self.network = DepthCaptioner(words=words.words[words.first_word :], **sizes)
        self.longest = int(self.network.config["max_length"])
        self.vocabulary = words

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Token losses of the report and of a human sentence (B, 2, L), losses of the facts and of the object mask."""
        device = batch["visible"].device
        seeds = [int(seed) for seed in batch["seed"]]
        depths = [
            torch.stack(
                [perturbed(d, seed + which, self.settings.perturb) for d, seed in zip(batch[key], seeds, strict=True)]
            )
            for which, key in enumerate(DEPTHS)
        ]
        tokens = self._tokens(batch, seeds).to(device)
        targets = fact_targets(batch["facts"], device)
        shown = fact_vector(targets)
        shown[[seed % 100 >= 100 * self.settings.teach for seed in seeds]] = torch.nan
        said: CaptionerOutput = network(batch["visible"], batch["infrared"], *depths, tokens[..., :-1], shown)
        pad = self.vocabulary.pad
        losses = {
            name: token_loss(said.logits[:, which], tokens[:, which, 1:], pad, self.weights.smoothing)
            for which, name in enumerate(("report", "free"))
        }
        facts = fact_losses(said.facts, targets)
        losses |= {
            "grid": facts.pop("grid"),
            "light": facts.pop("light"),
            "target": torch.stack([*facts.values()]).sum(),
        }
        losses["mask"] = mask_loss(said.mask, batch["mask"])
        losses["loss"] = torch.stack([getattr(self.weights, name) * loss for name, loss in losses.items()]).sum()
        return losses

    def _tokens(self, batch: dict[str, Any], seeds: list[int]) -> Tensor:
        """Report and one human sentence per sample, (B, 2, L) int64; which one is drawn by the sample's seed."""
        encoded = []
        for facts, captions, seed in zip(batch["facts"], batch["captions"], seeds, strict=True):
            free = STYLES[seed % len(captions)]
            for style in (DEFAULT_STYLE, free):
                text = sentence({**facts, "captions": captions}, style)
                encoded.append(self.vocabulary.encode(text, style, self.longest + 1))
        return pad_tokens(encoded, self.vocabulary.pad).unflatten(0, (-1, 2))

    def measure(self, network: DepthCaptioner, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """The batch itself: the scores are those of the whole set."""
        return Measured({"batch": batch})

    def figures(self, network: DepthCaptioner, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Scores of the default report and of each human style beside the baseline's; all sentences as JSON lines."""
        batches = [values["batch"] for values in found]
        names = [name for batch in batches for name in batch["name"]]
        baseline = FrequentCaption(self.records, self.vocabulary)
        scores, said = caption_scores(network, batches, baseline, self.beams)
        with atomic_write(folder / "captions.jsonl") as file:
            lines = [json.dumps({"name": name, **sentences}) for name, sentences in zip(names, said, strict=True)]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with atomic_write(folder / "scores.json") as file:
            file.write_text(json.dumps({"baseline_captions": baseline.captions, "scores": scores}, indent=1) + "\n")
        return {
            f"{style}/{name}" + ("" if who == "network" else "_baseline"): value
            for style, both in scores.items()
            for who, values in both.items()
            for name, value in values.items()
        }


def perturbed(depth: Tensor, seed: int, strength: float) -> Tensor:
    """A depth map (1, h, w) as a weaker estimator might give it: blurred, bent, with slow errors; one in ten is lost.

    Drawn by ``seed``; ``strength`` 0 returns the map as it is.
    """
    if strength == 0:
        return depth
    draws = torch.Generator().manual_seed(seed)
    lost, blur, bend = torch.rand(3, generator=draws).tolist()
    slow = torch.randn(1, 1, 4, 5, generator=draws).to(depth)
    if lost < 0.1:
        return torch.zeros_like(depth)
    kernel = 1 + 2 * round(4 * strength * blur)
    smooth = F.avg_pool2d(depth[None], kernel, stride=1, padding=kernel // 2, count_include_pad=False)[0]
    low, high = smooth.amin(), smooth.amax()
    unit = ((smooth - low) / (high - low + 1e-6)) ** (2.0 ** (strength * (bend - 0.5)))
    errors = F.interpolate(slow, depth.shape[-2:], mode="bicubic", align_corners=False)[0]
    return unit + 0.05 * strength * errors


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the object mask (B, h, w) at the resolution of the logits (B, 4, h/8, w/8), 0 if all is unknown.

    A cell takes the highest class in it, so that small people are not lost. Ids above 3 are background, 255 is unknown.
    """
    cell = (mask.shape[-2] // logits.shape[-2], mask.shape[-1] // logits.shape[-1])
    known = torch.where(mask == UNKNOWN, -1, torch.where(mask >= logits.shape[1], 0, mask)).float()
    coarse = F.max_pool2d(known[:, None], cell)[:, 0].long()
    coarse = coarse[:, : logits.shape[-2], : logits.shape[-1]]
    weight = torch.tensor(MASK_WEIGHTS, device=logits.device)
    losses = F.cross_entropy(logits.float(), coarse, ignore_index=-1, reduction="none", weight=weight)
    return losses.sum() / (coarse >= 0).sum().clamp(min=1)


UNKNOWN = 255
MASK_WEIGHTS = (0.5, 2.0, 4.0, 4.0)
"""Background, car, person, bike: the rarer the class, the more a cell of it counts."""

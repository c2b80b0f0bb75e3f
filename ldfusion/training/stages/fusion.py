"""Stage ``fusion``: the decoder, guided by sentences, trained with edge, fidelity, colour, region and depth losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.utils.data import DataLoader

from captioning.facts import read_facts, write_report
from depth.estimator import DepthEstimator, wrap_network
from depth.network import DepthStudent
from ldfusion.config import DataConfig, check_arguments, check_keys, nearest
from ldfusion.data.pairs import to_device
from ldfusion.diffusion.denoiser import build_denoiser, seeded_noise
from ldfusion.diffusion.features import TIMESTEPS, FeatureExtractor
from ldfusion.errors import InputError
from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.fusion import fidelity, losses
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.fuser import Fuser
from ldfusion.fusion.tone import CONTROLS
from ldfusion.io.color import luma
from ldfusion.io.image import write_png
from ldfusion.language.text import TextEncoder
from ldfusion.segmentation.network import load_segmenter
from ldfusion.training.stages.fusion_loss import FusionObjective, read_weights
from ldfusion.weights import component_folder

TARGETS = {"car": ("car", "truck", "bus"), "person": ("person",), "bike": ("bicycle", "motorcycle")}
"""Mask class (ids 1, 2, 3) -> classes of the sentences that name it."""
COMMANDS = ("highlight the {}", "show me the {}", "{} in the scene", "where is the {}", "emphasise every {}", "a {}")
WORDS = {
    "car": ("car", "cars", "vehicle"),
    "person": ("person", "people", "pedestrian"),
    "bike": ("bicycle", "motorcycle", "bike"),
}
FEATURES = ("diffusion", "plain", "none")
REPORTED = ("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "CC", "Nabf", "clipped")


def named_targets(texts: Sequence[str]) -> Tensor:
    """1 where a sentence names the mask class, (B, 3), classes in the order of the mask ids."""
    rows = []
    for text in texts:
        names = {mention.name for mention in read_facts(text).mentions}
        rows.append([float(bool(names & set(classes))) for classes in TARGETS.values()])
    return torch.tensor(rows)


def _describe(words: Mapping[str, Any], rng: np.random.Generator) -> str:
    """A report or a caption of a pair."""
    return write_report(words["facts"]) if rng.random() < 0.5 else str(rng.choice(words["captions"]))


class FusionStage:
    """Trains the decoder of a `Fuser`; the denoiser, both depth students and the text encoder stay frozen.

    ``model`` holds ``decoder`` (``widths``, ``hidden`` and ``nodes`` of `FusionDecoder`), ``timesteps``, ``schedule``,
    ``features`` (``diffusion``; ``plain``: the same network untrained, fed once with the clean stack and trained along;
    ``none``: the decoder sees the clean stack alone), ``guided`` (False: without language) and the folders of
    ``denoiser``, ``depth_visible``, ``depth_infrared``, ``text``, ``segmentation`` (default: embedded).
    """

    dataset_options: ClassVar[dict[str, bool]] = {"depth": True, "masks": True, "captions": True, "native": True}

    def __init__(self, model: Mapping[str, Any], loss: Mapping[str, Any], data: DataConfig) -> None:
        check_arguments(self._build, model, "model")
        self.weights = read_weights(loss)
        fuser = self._build(**model)
        if min(data.crop) < fidelity.SMALLEST_SIDE:
            raise InputError(f"data.crop={list(data.crop)}: both sides must be at least {fidelity.SMALLEST_SIDE}")
        self.multiple = fuser.extractor.multiple
        segmenter = load_segmenter(model.get("segmentation", "")) if self.weights.semantic > 0 else None
        self.losses = FusionObjective(self.weights, self.twins, segmenter and segmenter.requires_grad_(False).eval())
        self.network: nn.Module = fuser
        self.exported: nn.Module = fuser.decoder

    def _build(
        self,
        decoder: Mapping[str, Any] | None = None,
        timesteps: Sequence[int] = TIMESTEPS,
        schedule: str = "linear",
        features: str = "diffusion",
        guided: bool = True,
        denoiser: str = "",
        depth_visible: str = "",
        depth_infrared: str = "",
        text: str = "",
        segmentation: str = "",
    ) -> Fuser:
        check_keys(decoder or {}, ("widths", "hidden", "nodes"), "model.decoder")
        if features not in FEATURES:
            raise InputError(f"model.features: unknown features '{features}'; {nearest(features, FEATURES)}")
        unet = UNet2DModel.from_pretrained(component_folder("denoiser", denoiser), use_safetensors=True)
        plain = features == "plain"
        if plain:
            c = unet.config
            unet = build_denoiser(c.block_out_channels, c.layers_per_block, c.norm_num_groups, c.add_attention)
        extractor = FeatureExtractor(unet, schedule, timesteps if features == "diffusion" else ())
        self.text: TextEncoder | None = None
        if guided:
            self.text = TextEncoder.from_pretrained(component_folder("text_encoder", text)).requires_grad_(False).eval()
        self.twins: list[DepthEstimator] = [
            wrap_network(DepthStudent.from_pretrained(component_folder(name, path), use_safetensors=True))
            .requires_grad_(False)
            .eval()
            for name, path in (("depth_visible", depth_visible), ("depth_infrared", depth_infrared))
        ]
        options = dict(decoder or {})
        seen = 0 if features == "none" else max(1, len(extractor.timesteps))
        options |= {"feature_channels": extractor.channels, "timesteps": seen}
        options["text_dim"] = self.text.dim if self.text is not None else 0
        try:
            network = FusionDecoder(**options)
        except ValueError as error:
            raise InputError(f"model.decoder: {error}") from error
        return Fuser(extractor, network, train_extractor=plain)

    def _sentences(self, batch: dict[str, Any]) -> tuple[list[str], dict[int, str]]:
        """The sentence that each sample is trained with, and for some one that names other targets.

        Both are functions of the sample's seed. A command names what is there, if anything is.
        """
        w, out, others = self.weights, [], {}
        for k, seed in enumerate(batch["seed"].tolist()):
            rng = np.random.default_rng([seed, 7])
            u = rng.random()
            if u < w.command:
                there = [target for i, target in enumerate(TARGETS, start=1) if bool((batch["mask"][k] == i).any())]
                target = str(rng.choice(there or list(TARGETS)))
                other = str(rng.choice([name for name in TARGETS if name != target]))
                commands = [str(rng.choice(COMMANDS)).format(rng.choice(WORDS[name])) for name in (target, other)]
                out.append(commands[0])
                others[k] = commands[1]
                continue
            # a wrong sentence comes with the sample, so that it does not depend on how a batch is shared out
            words = {key: batch[key][k] for key in ("facts", "captions")}
            if u < w.command + w.wrong:
                words = batch["other"][k]
            out.append(_describe(words, rng))
            if u >= w.command + w.wrong and rng.random() < w.compared:
                second = _describe(batch["other"][k], rng)
                if (named_targets([second]) != named_targets(out[-1:])).any():
                    others[k] = second
        return out, others

    def _encode(self, texts: list[str], device: torch.device) -> Tensor | None:
        if self.text is None:
            return None
        self.text.to(device)
        with torch.no_grad():
            features: Tensor = self.text.encode(texts)
        return features.float()

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        texts, others = self._sentences(batch)
        compared = self.weights.language > 0 and self.text is not None
        if not compared:
            others = {}
        # samples that are compared with themselves under another sentence come twice
        rows = torch.tensor([*range(len(texts)), *others], device=batch["visible"].device)
        tone = self._tones(batch)
        shape = self._working(batch["visible"], step)
        noise = seeded_noise(batch["visible"].new_empty(len(texts), 4, *shape), batch["seed"])
        features = self._encode([*texts, *others.values()], noise.device)
        pair = (batch[name][rows] for name in ("visible", "infrared"))
        fused, grid = network(*pair, features, noise[rows], tone[rows])
        every = max(1, round(self.weights.depth_every)) if self.weights.depth > 0 else 0
        depth = float(every) if every and step % every == 0 else 0.0
        count = len(texts)
        out = self.losses(fused[:count], batch, named_targets(texts), tone, grid[:count], depth)
        if compared:
            out["language"] = fused.new_zeros(())
        if others:
            named = named_targets([texts[k] for k in others]) - named_targets(list(others.values()))
            k = rows[count:]
            first, second = luma(fused)[k], luma(fused)[count:]
            language = losses.contrast_loss(first, second, batch["infrared"][k], batch["mask"][k], named)
            out["language"] = language * (len(others) / count)
            out["loss"] = out["loss"] + self.weights.language * out["language"]
        return out

    def _working(self, visible: Tensor, step: int) -> tuple[int, int]:
        """Size of the working copies of a step: a function of the step, so that all processes agree."""
        shrink = self.weights.shrink ** np.random.default_rng([step, 11]).random()
        multiple = self.multiple
        height, width = (max(2, round(side / shrink / multiple)) * multiple for side in visible.shape[-2:])
        return height, width

    def _tones(self, batch: dict[str, Any]) -> Tensor:
        """The tone (B, CONTROLS) that each sample is asked for, a function of its seed."""
        rows = []
        for seed in batch["seed"].tolist():
            rng = np.random.default_rng([seed, 13])
            rows.append(rng.uniform(-1, 1, CONTROLS) * (rng.random() < self.weights.toned))
        return batch["visible"].new_tensor(np.array(rows))

    def validate(self, network: nn.Module, loader: DataLoader[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Six metrics with the right caption; losses and brightness of named targets, right against wrong caption."""
        assert isinstance(network, Fuser)
        device = next(network.parameters()).device
        batches = [to_device(batch, device) for batch in loader]
        sums: dict[str, list[float]] = {}
        rows: list[Tensor] = []
        for k, batch in enumerate(batches):
            right, wrong = self._captions_of(batches, k)
            shape = network.working_shape(*batch["visible"].shape[-2:])
            noise = seeded_noise(batch["visible"].new_empty(1, 4, *shape), batch["seed"])
            fused = {}
            for kind, text in (("right", right), ("wrong", wrong)):
                features = self._encode([text], noise.device)
                fused[kind] = network.fuse(batch["visible"], batch["infrared"], features, noise)
                values = self.losses(fused[kind], batch, named_targets([right]))
                for name, value in values.items():
                    sums.setdefault(f"{kind}/{name}", []).append(value.item())
                if wrong == right:
                    break
            if len(fused) == 2:
                extra = (named_targets([right]) - named_targets([wrong])).clamp_min(0)
                weight = losses.emphasis(batch["infrared"], batch["mask"], extra, 1.0)
                if weight.sum() > 0:
                    lift = (luma(fused["right"]) - luma(fused["wrong"])) * weight
                    sums.setdefault("lift_of_named", []).append((255 * lift.sum() / weight.sum()).item())
            codes = [(255 * x).round() for x in (luma(fused["right"]), luma(batch["visible"]), batch["infrared"])]
            for name, value in compute_metrics(codes[0], codes[1], codes[2], REPORTED).items():
                sums.setdefault(name, []).append(value.item())
            if k % 6 == 0 and len(rows) < 8:
                rows.append(
                    torch.cat([batch["visible"], batch["infrared"].expand(-1, 3, -1, -1), fused["right"]], dim=3)[0]
                )
        for k, row in enumerate(rows):
            write_png(folder / f"{k:02d}.png", row.cpu())
        return {name: sum(v) / len(v) for name, v in sums.items()}

    @staticmethod
    def _captions_of(batches: list[dict[str, Any]], k: int) -> tuple[str, str]:
        """The report of pair k, and the first later pair's report that misses a target named in it (else the same)."""
        reports = [write_report(b["facts"][0]) for b in batches]
        right = named_targets([reports[k]])
        for j in range(1, len(batches)):
            other = reports[(k + j) % len(batches)]
            if (right > named_targets([other])).any():
                return reports[k], other
        return reports[k], reports[k]

    def export(self, network: nn.Module, folder: Path) -> None:
        assert isinstance(network, Fuser)
        network.decoder.save_pretrained(folder / "decoder")
        network.extractor.denoiser.save_pretrained(folder / "denoiser")

"""Stage ``fusion``: the decoder, guided by sentences, trained with edge, fidelity, colour, region and depth losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from depth.estimator import DepthEstimator, wrap_network
from depth.network import DepthStudent
from ldfusion.config import Experiment, check_arguments, check_keys, nearest
from ldfusion.diffusion.denoiser import build_denoiser, seeded_noise
from ldfusion.diffusion.features import TIMESTEPS, FeatureExtractor
from ldfusion.errors import InputError
from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.fusion import fidelity, losses
from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.fuser import Fuser
from ldfusion.fusion.tone import CONTROLS
from ldfusion.io.color import luma
from ldfusion.language.text import TextEncoder
from ldfusion.segmentation.network import load_segmenter
from ldfusion.training.stages import Measured, Stage
from ldfusion.training.stages.fusion_loss import FusionLoss, FusionObjective
from ldfusion.training.stages.fusion_text import FusionSample, draw_sentences, named_targets, with_reports
from ldfusion.weights import component_folder

FEATURES = ("diffusion", "plain", "none")
REPORTED = ("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "CC", "Nabf", "clipped")


class FusionStage(Stage[Fuser]):
    """Trains the decoder of a `Fuser`; the denoiser, both depth students and the text encoder stay frozen.

    ``model`` holds ``decoder`` (``widths``, ``hidden`` and ``nodes`` of `FusionDecoder`), ``timesteps``, ``schedule``,
    ``features`` (``diffusion``; ``plain``: the same network untrained, fed once with the clean stack and trained along;
    ``none``: the decoder sees the clean stack alone), ``guided`` (False: without language) and the folders of
    ``denoiser``, ``depth_visible``, ``depth_infrared``, ``text``, ``segmentation`` (default: embedded). ``loss`` is a
    `FusionLoss`, ``sample`` a `FusionSample`.
    """

    Loss, Sample = FusionLoss, FusionSample
    weights: FusionLoss
    settings: FusionSample
    dataset_options: Mapping[str, bool] = {"depth": True, "masks": True, "captions": True, "native": True}
    every, most = 6, 8
    part = "decoder"

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        check_arguments(self._build, model, "model")
        if min(data.crop) < fidelity.SMALLEST_SIDE:
            raise InputError(f"data.crop={list(data.crop)}: both sides must be at least {fidelity.SMALLEST_SIDE}")
        self.network = self._build(**model)
        self.multiple = self.network.extractor.multiple
        segmenter = load_segmenter(model.get("segmentation", "")) if self.weights.semantic > 0 else None
        self.losses = FusionObjective(self.weights, self.twins, segmenter and segmenter.requires_grad_(False).eval())

    @property
    def exported(self) -> nn.Module:
        """The decoder."""
        return self.network.decoder

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

    def _encode(self, texts: list[str], device: torch.device) -> Tensor | None:
        if self.text is None:
            return None
        self.text.to(device)
        with torch.no_grad():
            features: Tensor = self.text.encode(texts)
        return features.float()

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Losses of the images (B, 3, h, w) fused under one sentence each, and of what another sentence changes."""
        texts, others = draw_sentences(batch, self.settings)
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
        shrink = self.settings.shrink ** np.random.default_rng([step, 11]).random()
        multiple = self.multiple
        height, width = (max(2, round(side / shrink / multiple)) * multiple for side in visible.shape[-2:])
        return height, width

    def _tones(self, batch: dict[str, Any]) -> Tensor:
        """The tone (B, CONTROLS) that each sample is asked for, a function of its seed."""
        rows = []
        for seed in batch["seed"].tolist():
            rng = np.random.default_rng([seed, 13])
            rows.append(rng.uniform(-1, 1, CONTROLS) * (rng.random() < self.settings.toned))
        return batch["visible"].new_tensor(np.array(rows))

    def batches(self, loader: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """Every pair with its right and a wrong report, see `with_reports`."""
        return with_reports(loader)

    def measure(self, network: Fuser, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Metrics with the right report; losses and brightness of named targets, right against wrong report."""
        right, wrong = batch["report"], batch["wrong"]
        visible, infrared = batch["visible"], batch["infrared"]
        noise = seeded_noise(visible.new_empty(1, 4, *network.working_shape(*visible.shape[-2:])), batch["seed"])
        values: dict[str, Any] = {}
        fused = {}
        for kind, text in (("right", right), ("wrong", wrong))[: 1 + (wrong != right)]:
            fused[kind] = network.fuse(visible, infrared, self._encode([text], noise.device), noise)
            losses_of = self.losses(fused[kind], batch, named_targets([right]))
            values |= {f"{kind}/{name}": value.item() for name, value in losses_of.items()}
        if wrong != right:
            extra = (named_targets([right]) - named_targets([wrong])).clamp_min(0)
            weight = losses.emphasis(infrared, batch["mask"], extra, 1.0)
            if weight.sum() > 0:
                lift = (luma(fused["right"]) - luma(fused["wrong"])) * weight
                values["lift_of_named"] = (255 * lift.sum() / weight.sum()).item()
        codes = [(255 * x).round() for x in (luma(fused["right"]), luma(visible), infrared)]
        measured = Measured(values | compute_metrics(codes[0], codes[1], codes[2], REPORTED))
        if shown:
            views = [visible, infrared.expand(-1, 3, -1, -1), fused["right"]]
            measured.pictures[f"{number // self.every:02d}.png"] = torch.cat(views, dim=3)[0]
        return measured

    def export(self, network: Fuser, folder: Path) -> None:
        """``folder/decoder``, and ``folder/denoiser`` as it was used."""
        network.decoder.save_pretrained(folder / "decoder")
        network.extractor.denoiser.save_pretrained(folder / "denoiser")

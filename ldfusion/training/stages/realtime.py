"""Stage ``realtime``: the small network learns from the pipeline's coefficients and from the losses of its decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.config import Experiment, check_arguments
from ldfusion.data.augment import draw
from ldfusion.errors import InputError
from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.fusion import fidelity, losses
from ldfusion.fusion.grid import apply_grid, roll_off, slice_grid
from ldfusion.fusion.grid import basis as grid_basis
from ldfusion.fusion.realtime import RealtimeNetwork, base_picture
from ldfusion.io.color import luma
from ldfusion.training.stages import Measured, Stage
from ldfusion.training.stages.fusion import REPORTED
from ldfusion.training.stages.fusion_loss import FusionLoss, FusionObjective
from ldfusion.training.stages.fusion_text import named_targets
from ldfusion.training.teacher import TeacherGrids, read_teacher

COARSE = (0, 1, 2, 3, 6, 7, 9)
"""Of `ldfusion.fusion.grid.BASIS`: what makes the picture without its fine details."""


@dataclass
class RealtimeLoss(FusionLoss):
    """Weights of what is learned from the pipeline, beside those of the stage fusion."""

    image: float = 20.0
    """Mean difference of the colours."""
    texture: float = 5.0
    """Mean difference of the Laplacians."""
    base: float = 10.0
    """Mean difference of the pictures without fine details, at half the size, and of the gains of chroma."""


@dataclass
class RealtimeSample:
    """How the pipeline is asked in a step."""

    said: float = 0.35
    """Share of steps with a sentence; in the others the pipeline's own picture is to be met without one."""
    toned: float = 0.2
    """Share of steps under another tone, of those without a sentence."""
    judged: float = 1.0
    """Share of steps with the losses of the stage fusion, which take four fifths of a step's time."""
    smallest: float = 0.6
    """Least size of the working copy in a step, as a share of the network's own."""


class RealtimeStage(Stage[RealtimeNetwork]):
    """Trains `RealtimeNetwork`; ``model`` holds its arguments, ``data.labels`` the grids of the pipeline.

    Without ``data.labels`` there is no teacher, and only the losses of the stage fusion are left. ``loss`` is a
    `RealtimeLoss`, ``sample`` a `RealtimeSample`.
    """

    Loss, Sample = RealtimeLoss, RealtimeSample
    weights: RealtimeLoss
    settings: RealtimeSample
    dataset_options: Mapping[str, bool] = {"masks": True, "native": True}
    every: ClassVar[int] = 6

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        check_arguments(RealtimeNetwork.__init__, model, "model")
        try:
            self.network = RealtimeNetwork(**model)
        except (TypeError, ValueError) as error:
            raise InputError(f"model: {error}") from error
        self.objective = FusionObjective(self.weights, [])
        if min(data.crop) < fidelity.SMALLEST_SIDE:
            raise InputError(f"data.crop={list(data.crop)}: both sides must be at least {fidelity.SMALLEST_SIDE}")
        if data.labels and (data.jitter or data.synthetic):
            raise InputError("data.jitter and data.synthetic must be 0: the pipeline has seen the files as they are")
        self.data = data

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Distance from the pipeline's coefficients, at some steps the decoder's losses of images (B, 3, H, W)."""
        rng, w, sample = np.random.default_rng([step, 19]), self.weights, self.settings
        said, toned, judged = (bool(rng.random() < share) for share in (sample.said, sample.toned, sample.judged))
        share = rng.uniform(sample.smallest, 1.0)
        height, width = (max(1, round(side * share / 16)) * 16 for side in self.network.working)
        found = self._teachers(batch)
        rows = [self._row(seed, said, toned) for seed in batch["seed"].tolist()]
        device = batch["visible"].device
        text = torch.stack([f.text[k] for f, k in zip(found, rows, strict=True)]).to(device) if said and found else None
        tone = torch.stack([f.tones[k] for f, k in zip(found, rows, strict=True)]).to(device) if found else None
        fused, cells, coefficients, guides = network(batch["visible"], batch["infrared"], text, tone, (height, width))
        sentences = [""] * len(rows)
        if said and found:
            sentences = [f.sentences[k] for f, k in zip(found, rows, strict=True)]
        named = named_targets(sentences)
        if judged or not found:
            out = self.objective(fused, batch, named, tone, cells[:, None, :, None], depth=0.0)
        else:
            out = {"loss": w.smooth * losses.roughness(cells[:, None, :, None])}
        if found:
            taught = [self._answer(batch, k, found[k], rows[k]) for k in range(len(rows))]
            picture, base, chroma = (torch.cat(parts) for parts in zip(*taught, strict=True))
            out["image"] = F.l1_loss(fused, picture)
            out["texture"] = F.l1_loss(losses.laplacian(luma(fused)), losses.laplacian(luma(picture)))
            out["base"] = F.l1_loss(base_picture(coefficients, guides), base)
            out["base"] = out["base"] + 0.05 * F.l1_loss(coefficients[:, -1:], chroma)
            weighed = torch.stack([getattr(w, name) * out[name] for name in ("image", "texture", "base")])
            out["loss"] = out["loss"] + weighed.sum()
        return out

    def _teachers(self, batch: dict[str, Any]) -> list[TeacherGrids]:
        if not self.data.labels:
            return []
        return [read_teacher(self.data.labels, name) for name in batch["name"]]

    @staticmethod
    def _row(seed: int, said: bool, toned: bool) -> int:
        """Which answer of the pipeline a sample is compared with: caption, one of two commands, another tone."""
        return int(np.random.default_rng([seed, 23]).integers(0, 3)) if said else 3 * toned

    @torch.no_grad()
    def _answer(self, batch: dict[str, Any], k: int, taught: TeacherGrids, row: int) -> tuple[Tensor, Tensor, Tensor]:
        """What the pipeline makes of sample ``k``: colours (1, 3, H, W), and at half the size the picture without fine
        details and the gain of chroma (1, 1, h, w).
        """
        visible, infrared = batch["visible"][k : k + 1], batch["infrared"][k : k + 1]
        window = draw(np.random.default_rng(batch["seed"][k].item()), taught.frame, self.data)
        grid = taught.grids[row : row + 1].to(visible.device)

        def place(height: int, width: int) -> tuple[Tensor, Tensor]:
            y = window.top + window.height * (torch.arange(height) + 0.5) / height
            x = (torch.arange(width) + 0.5) / width
            x = window.left + window.width * (1 - x if window.flip else x)
            y, x = (2 * z.to(visible.device) - 1 for z in (y, x))
            return y[:, None].expand(1, 1, height, width), x.expand(1, 1, height, width)

        size = (int(visible.shape[-2]), int(visible.shape[-1]))
        picture = apply_grid(grid, visible, infrared, place(*size)).clamp(0, 1)
        half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        small, warm = (F.interpolate(x, half, mode="area") for x in (luma(visible), infrared))
        functions, near = grid_basis(small, warm)
        coefficients = slice_grid(grid, near, *place(*half))
        base = (coefficients[:, COARSE] * functions[:, COARSE]).sum(dim=1, keepdim=True)
        return picture, roll_off(base), coefficients[:, -1:]

    def measure(self, network: RealtimeNetwork, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Metrics of the fused image."""
        visible, infrared = batch["visible"], batch["infrared"]
        fused = network(visible, infrared)[0].clamp(0, 1)
        codes = [(255 * x).round() for x in (luma(fused), luma(visible), infrared)]
        values: dict[str, Any] = dict(compute_metrics(codes[0], codes[1], codes[2], REPORTED))
        if not shown:
            return Measured(values)
        row = torch.cat([visible, infrared.expand(-1, 3, -1, -1), fused], dim=3)
        return Measured(values, pictures={f"{number:02d}.png": row[0]})

"""Stages ``depth-visible`` and ``depth-infrared``: the twin students, each trained on its own against the teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from depth.align import standardise
from depth.estimator import enlarge
from depth.losses import rank_loss, ssi_loss
from depth.metrics import spearman
from depth.network import STRIDE, DepthStudent
from depth.preview import colorize_depth
from ldfusion.config import Experiment, check_arguments, check_keys
from ldfusion.data.labels import teacher_of
from ldfusion.errors import InputError
from ldfusion.fusion.classical import laplacian_fusion, mean_fusion
from ldfusion.fusion.losses import target_intensity
from ldfusion.fusion.methods import load_method
from ldfusion.io.color import luma, with_luma
from ldfusion.training.stages import Measured, Stage, check_crop
from ldfusion.training.stages.segmentation import GUIDED, SENSORS, source_image


class DepthStage(Stage[DepthStudent]):
    """Distils the teacher's relative inverse depth into a `DepthStudent` of one modality.

    The loss is scale- and shift-invariant with gradient matching (MiDaS, Ranftl et al. 2020, eqs. 5-11); each target is
    divided by its own standard deviation first, so that every image weighs the same. ``loss`` weighs the same loss
    under the square root (``root``) and the loss of ranks (``rank``); ``paste`` is the share of samples with pasted
    objects, ``blend`` the share that shows both sensors in one image, of which the label is the mean of both maps: the
    students read fused images as well (`depth.twin.TwinDepth.fused`), which look like neither sensor's. ``fused`` is
    the share of the blends that the embedded fusion network makes, the others are simple rules (`blend_sensors`).
    """

    modality = "visible"
    dataset_options: Mapping[str, bool] = {"depth": True, "masks": True}
    sheet = "depth.png"

    def __init__(self, experiment: Experiment) -> None:
        model, loss, data = experiment.model, experiment.loss, experiment.data
        check_arguments(DepthStudent.__init__, model, "model")
        check_keys(loss, ("alpha", "root", "rank", "paste", "blend", "fused"), "loss")
        check_crop(data, STRIDE)
        channels = 3 if self.modality == "visible" else 1
        self.network = DepthStudent(**{"in_channels": channels, **model})
        self.alpha = float(loss.get("alpha", 0.5))
        self.root = float(loss.get("root", 2.0))
        self.rank = float(loss.get("rank", 0.0))
        self.paste = float(loss.get("paste", 0.5))
        self.blend = float(loss.get("blend", 0.0))
        self.fused = float(loss.get("fused", 0.0))
        for name, share in (("paste", self.paste), ("blend", self.blend), ("fused", self.fused)):
            if not 0 <= share <= 1:
                raise InputError(f"loss.{name}={share:g}: must be a share of the samples, 0 to 1")
        self.fusion = load_method("ldfusion", **GUIDED) if self.fused * self.blend > 0 else None

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Scale- and shift-invariant losses, plain and under the square root, and the loss of ranks."""
        image, target = batch[self.modality], standardise(batch[f"depth_{self.modality}"])
        if self.blend > 0:
            chosen = (batch["seed"] // 1_000_000 % 1000 < 1000 * self.blend)[:, None, None, None].to(image.device)
            both = blend_sensors(batch["visible"], batch["infrared"], batch["seed"])
            if self.fusion is not None:
                own = chosen.flatten() & (batch["seed"] // 1000 % 1000 < 1000 * self.fused).to(image.device)
                part = {sensor: batch[sensor][own] for sensor in SENSORS}
                if own.any():
                    both[own] = source_image(part, "ldfusion", {"ldfusion": self.fusion}).clamp(0, 1).to(both)
            image = torch.where(chosen, self._as_read(both), image)
            target = torch.where(chosen, teacher_of(batch["depth_visible"], batch["depth_infrared"]), target)
        if self.paste > 0:
            image, target = paste_objects(image, target, batch["mask"], batch["seed"], self.paste)
        target = target - target.amin(dim=(1, 2, 3), keepdim=True)
        target = target / target.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-4)
        prediction = network(image).float()
        losses = {
            "rank": rank_loss(prediction, target).mean(),
            "linear": ssi_loss(prediction, target, alpha=self.alpha).mean(),
            # inverse depth is crowded near zero: under the square root the far half of a scene counts as well
            "root": ssi_loss((prediction + 1e-3).sqrt(), target.sqrt(), alpha=self.alpha).mean(),
        }
        total = losses["linear"] + self.root * losses["root"] + self.rank * losses["rank"]
        return {"loss": total, **losses}

    def _as_read(self, fused: Tensor) -> Tensor:
        """What this student sees of fused images (B, 3, H, W): their colours, or their luma."""
        return fused if self.modality == "visible" else luma(fused)

    def measure(self, network: DepthStudent, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Spearman correlation with the teacher; and image, teacher, student.

        Of a student that learns from blends also that of the pair fused by the Laplacian pyramid, with the mean of both
        labels.
        """
        image, target = batch[self.modality], batch[f"depth_{self.modality}"]
        prediction = enlarge(network(image).float(), *target.shape[-2:])
        values = {"spearman": spearman(prediction, target)}
        if self.blend > 0:
            both = self._as_read(laplacian_fusion(batch["visible"], batch["infrared"]))
            label = teacher_of(batch["depth_visible"], batch["depth_infrared"])
            values["spearman_laplacian"] = spearman(enlarge(network(both).float(), *label.shape[-2:]), label)
        if not shown:
            return Measured(values)
        maps = [torch.from_numpy(colorize_depth(d[0, 0].cpu())).permute(2, 0, 1) / 255 for d in (target, prediction)]
        return Measured(values, torch.cat([image[0].expand(3, -1, -1).cpu(), *maps], dim=2))

    def figures(self, network: DepthStudent, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """The means, and the least correlation of a pair."""
        least = min(values["spearman"].min().item() for values in found)
        return {**super().figures(network, found, folder), "spearman_min": least}


def blend_sensors(visible: Tensor, infrared: Tensor, seeds: Tensor) -> Tensor:
    """What fusion methods make of a pair, roughly: the mean, the brighter source and the Laplacian pyramid, mixed with
    weights that each sample's seed draws evenly from all that sum to one; in the colours of the visible image.

    Args:
        visible: (B, 3, H, W) in [0, 1]. infrared: (B, 1, H, W). seeds: (B,).

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    drawn = [np.random.default_rng([seed, 11]).dirichlet(np.ones(3)) for seed in seeds.tolist()]
    weights = torch.from_numpy(np.stack(drawn, axis=1)).to(visible)[..., None, None, None]
    grey = luma(visible)
    rules = (mean_fusion(grey, infrared), target_intensity(visible, infrared), laplacian_fusion(grey, infrared))
    return with_luma(visible, (weights * torch.stack(rules)).sum(dim=0))


def paste_objects(image: Tensor, depth: Tensor, mask: Tensor, seeds: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """One scene is put into the next one where it is the nearer of both: its objects, or all of it.

    Both scenes keep the geometry of a street camera, so that standardised inverse depth can be compared between them.
    It shows the student objects before backgrounds that a few hundred pairs never had, and takes away the comfort of
    reading depth off the position alone.

    Args:
        image: (B, C, H, W). depth: standardised inverse depth (B, 1, H, W). mask: class ids (B, H, W), 1..3 objects.
        seeds: (B,), decide which samples take part and whether trees, walls and ground come along with the objects.
        share: how many of them take part.
    """
    chosen = (seeds % 1000 < 1000 * share)[:, None, None, None].to(image.device)
    whole = (seeds // 1000 % 2 == 1)[:, None, None, None].to(image.device)
    other, other_depth = image.roll(1, 0), depth.roll(1, 0)
    member = mask.roll(1, 0)[:, None]
    objects = (member >= 1) & (member <= 3) & (other_depth > depth)
    # a clear step in depth only: where two grounds meet, nothing is to be learned from the seam
    put = chosen & (objects | (whole & (other_depth > depth + 0.4)))
    return torch.where(put, other, image), torch.where(put, other_depth, depth)


class VisibleDepthStage(DepthStage):
    """The student of visible images."""

    modality = "visible"


class InfraredDepthStage(DepthStage):
    """The student of infrared images."""

    modality = "infrared"

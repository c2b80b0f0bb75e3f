"""Stages ``depth-visible`` and ``depth-infrared``: the twin students, each trained on its own against the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from depth.losses import ssi_loss
from depth.metrics import spearman
from depth.network import STRIDE, DepthStudent
from ldfusion.config import DataConfig, check_arguments, check_keys
from ldfusion.io.image import write_png
from ldfusion.io.preview import colorize_depth
from ldfusion.training.stages import check_crop


class DepthStage:
    """Distils the teacher's relative inverse depth into a `DepthStudent` of one modality.

    The loss is scale- and shift-invariant with gradient matching (MiDaS, Ranftl et al. 2020, eqs. 5-11); each target is
    divided by its own standard deviation first, so that every image weighs the same.
    """

    modality = "visible"
    dataset_options: ClassVar[dict[str, bool]] = {"depth": True}

    def __init__(self, model: Mapping[str, Any], loss: Mapping[str, Any], data: DataConfig) -> None:
        check_arguments(DepthStudent.__init__, model, "model")
        check_keys(loss, ("alpha", "root"), "loss")
        check_crop(data, STRIDE)
        channels = 3 if self.modality == "visible" else 1
        self.network: nn.Module = DepthStudent(**{"in_channels": channels, **model})
        self.alpha = float(loss.get("alpha", 0.5))
        self.root = float(loss.get("root", 2.0))

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        target = batch[f"depth_{self.modality}"]
        target = target / target.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-4)
        prediction = network(batch[self.modality]).float()
        losses = {
            "linear": ssi_loss(prediction, target, alpha=self.alpha).mean(),
            # inverse depth is crowded near zero: under the square root the far half of a scene counts as well
            "root": ssi_loss((prediction + 1e-3).sqrt(), target.clamp_min(0).sqrt(), alpha=self.alpha).mean(),
        }
        return {"loss": losses["linear"] + self.root * losses["root"], **losses}

    def validate(self, network: nn.Module, loader: DataLoader[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Spearman correlation with the teacher, and a picture: image, teacher, student."""
        device = next(network.parameters()).device
        scores: list[Tensor] = []
        rows: list[Tensor] = []
        for number, batch in enumerate(loader):
            image, target = batch[self.modality].to(device), batch[f"depth_{self.modality}"].to(device)
            prediction = network(image).float()
            prediction = F.interpolate(prediction, target.shape[-2:], mode="bilinear", align_corners=False)
            scores.append(spearman(prediction, target))
            if number % 8 == 0 and len(rows) < 6:
                maps = [
                    torch.from_numpy(colorize_depth(d[0, 0].cpu())).permute(2, 0, 1) / 255 for d in (target, prediction)
                ]
                rows.append(torch.cat([image[0].expand(3, -1, -1).cpu(), *maps], dim=2))
        write_png(folder / "depth.png", torch.cat(rows, dim=1))
        values = torch.cat(scores)
        return {"spearman": values.mean().item(), "spearman_min": values.min().item()}

    def export(self, network: nn.Module, folder: Path) -> None:
        assert isinstance(network, DepthStudent)
        network.save_pretrained(folder)


class VisibleDepthStage(DepthStage):
    """The student of visible images."""

    modality = "visible"


class InfraredDepthStage(DepthStage):
    """The student of infrared images."""

    modality = "infrared"

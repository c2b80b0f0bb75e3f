"""Training stages: one small file each says what one step computes; the loop is `ldfusion.training.loop`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from ldfusion.config import DataConfig, nearest
from ldfusion.errors import InputError

STAGES: dict[str, str] = {
    "denoiser": "ldfusion.training.stages.denoiser:DenoiserStage",
    "depth-visible": "ldfusion.training.stages.depth:VisibleDepthStage",
    "depth-infrared": "ldfusion.training.stages.depth:InfraredDepthStage",
    "captioner": "ldfusion.training.stages.captioner:CaptionerStage",
    "detector": "ldfusion.training.stages.detector:DetectorStage",
    "text": "ldfusion.training.stages.text:TextStage",
    "fusion": "ldfusion.training.stages.fusion:FusionStage",
}
"""Name of a stage -> ``module:class``, imported when the stage is used."""


class Stage(Protocol):
    """What the loop needs of a stage."""

    network: nn.Module
    """What is trained."""
    dataset_options: dict[str, bool]
    """Labels that `PairDataset` must deliver."""

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Losses of one batch; key ``loss`` is minimised (mean over samples), the others are logged."""
        ...

    def validate(self, network: nn.Module, loader: DataLoader[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Figures on the validation pairs; pictures go into ``folder``."""
        ...

    def export(self, network: nn.Module, folder: Path) -> None:
        """Write the trained network as safetensors and ``config.json``."""
        ...


def build_stage(name: str, model: Mapping[str, Any], loss: Mapping[str, Any], data: DataConfig) -> Stage:
    """The stage of that name.

    Raises:
        InputError: unknown stage.
    """
    if name not in STAGES:
        raise InputError(f"stage: unknown stage '{name}'; {nearest(name, STAGES)}")
    module, _, attribute = STAGES[name].partition(":")
    stage: Stage = getattr(import_module(module), attribute)(model, loss, data)
    return stage


def check_crop(data: DataConfig, multiple: int) -> None:
    """Raise `InputError` unless both sides of ``data.crop`` are multiples of what the networks of a stage need."""
    if any(side % multiple for side in data.crop):
        raise InputError(f"data.crop={list(data.crop)}: both sides must be multiples of {multiple} for this network")

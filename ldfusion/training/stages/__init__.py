"""Training stages: one small file each says what one step computes; the loop is `ldfusion.training.loop`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn
from torch.utils.data import DataLoader

from ldfusion.config import DataConfig
from ldfusion.errors import InputError
from ldfusion.registry import STAGES, maker


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


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with one learning rate.

    Attributes:
        parameters: of the stage's network.
        rate: what the learning rate of the configuration is multiplied by.
        decay: False exempts them from weight decay.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    decay: bool = True


@runtime_checkable
class GroupedStage(Protocol):
    """A stage that says itself which parameters are trained and how."""

    def groups(self) -> dict[str, list[ParameterGroup]]:
        """Parameters by optimiser: ``main`` (section ``optim``) and, if there are two, ``task`` (``optim.task``)."""
        ...


@runtime_checkable
class AlternatingStage(GroupedStage, Protocol):
    """A stage whose optimisers take turns by a plan of its own."""

    steps: int
    """Length of the plan."""

    def turn(self, step: int) -> tuple[str, ...]:
        """Names of the optimisers that take step ``step``; a function of the step alone, so that a run can resume."""
        ...


def parameter_groups(stage: Stage) -> dict[str, list[ParameterGroup]]:
    """What each optimiser of a stage trains: by default all parameters that need a gradient, in one group."""
    if isinstance(stage, GroupedStage):
        return stage.groups()
    return {"main": [ParameterGroup([p for p in stage.network.parameters() if p.requires_grad])]}


def build_stage(name: str, model: Mapping[str, Any], loss: Mapping[str, Any], data: DataConfig) -> Stage:
    """The stage of that name.

    Raises:
        InputError: unknown stage.
    """
    stage: Stage = maker(name, STAGES, "stage")(model, loss, data)
    return stage


def check_crop(data: DataConfig, multiple: int) -> None:
    """Raise `InputError` unless both sides of ``data.crop`` are multiples of what the networks of a stage need."""
    if any(side % multiple for side in data.crop):
        raise InputError(f"data.crop={list(data.crop)}: both sides must be multiples of {multiple} for this network")

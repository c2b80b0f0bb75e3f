"""Training stages: one small file each says what one step computes; the loop is `ldfusion.training.loop`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from ldfusion.config import DataConfig, Experiment, settings
from ldfusion.data.pairs import to_device
from ldfusion.errors import InputError
from ldfusion.io.image import write_png
from ldfusion.registry import STAGES, maker

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class NoSettings:
    """The settings of a section that a stage leaves empty."""


@dataclass
class Measured:
    """What a stage has measured on one batch of validation pairs.

    Attributes:
        values: a number or a tensor (N,) by name, of which the mean is the figure; or what `Stage.figures` makes of it.
        row: (3, h, w) for the sheet of pictures.
        pictures: file name -> (3, h, w), each a picture of its own.
    """

    values: dict[str, Any]
    row: Tensor | None = None
    pictures: dict[str, Tensor] = field(default_factory=dict)


class Stage(ABC, Generic[Network]):
    """Declares what one step and one batch of validation pairs come to; the loop does the rest.

    Args:
        experiment: its sections ``loss`` and ``sample`` are read into the dataclasses ``Loss`` and ``Sample`` of the
            stage, as ``self.weights`` and ``self.settings``; what ``model`` holds is for the stage itself to read.

    Raises:
        InputError: an unknown key, or a value out of range.

    Attributes:
        network: what is trained.
        dataset_options: labels that `PairDataset` must deliver.
        sheet: file of the validation's pictures.
        every, most: every so many batches are shown, the first ones.
        part: folder within the exported weights that a later phase starts from.
    """

    Loss: ClassVar[type] = NoSettings
    Sample: ClassVar[type] = NoSettings
    network: Network
    weights: Any
    settings: Any
    dataset_options: Mapping[str, bool] = {}
    sheet: ClassVar[str] = "pictures.png"
    every: ClassVar[int] = 8
    most: ClassVar[int] = 6
    part: ClassVar[str] = ""

    def __init__(self, experiment: Experiment) -> None:
        self.weights = settings(self.Loss, experiment.loss, "loss")
        self.settings = settings(self.Sample, experiment.sample, "sample")

    @property
    def exported(self) -> nn.Module:
        """What ``train.init`` fills: the network, or the part of it that is exported."""
        return self.network

    @abstractmethod
    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Losses of one batch; key ``loss`` is minimised (mean over samples), the others are logged."""

    @abstractmethod
    def measure(self, network: Network, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """What one batch of validation pairs comes to.

        Args:
            network: in evaluation mode, without gradients.
            batch: on its device.
            number: of the batch.
            shown: whether its pictures are wanted.
        """

    def batches(self, loader: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """What is measured one by one: the loader's batches; a stage that compares pairs adds to them."""
        return loader

    def figures(self, network: Network, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, float]:
        """The figures of the `Measured.values` of all batches: means over samples; files may go into ``folder``."""
        names = dict.fromkeys(name for values in found for name in values)
        return {name: mean_of(values[name] for values in found if name in values) for name in names}

    def validate(self, network: Network, loader: Iterable[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Figures on the validation pairs; pictures go into ``folder``."""
        device = next(network.parameters()).device
        found: list[dict[str, Any]] = []
        rows: list[Tensor] = []
        shown = 0
        for number, batch in enumerate(to_device(batch, device) for batch in self.batches(loader)):
            show = number % self.every == 0 and shown < self.most
            shown += show
            measured = self.measure(network, batch, number, show)
            found.append(measured.values)
            if measured.row is not None:
                rows.append(measured.row.clamp(0, 1).cpu())
            for name, picture in measured.pictures.items():
                write_png(folder / name, picture.clamp(0, 1).cpu())
        if rows:
            write_png(folder / self.sheet, torch.cat(rows, dim=1))
        return self.figures(network, found, folder)

    def export(self, network: Network, folder: Path) -> None:
        """Write the trained network as safetensors and ``config.json``."""
        network.save_pretrained(folder)  # type: ignore[operator]


def mean_of(values: Iterable[float | Tensor]) -> float:
    """Mean over the numbers, and over all elements of the tensors of any shape."""
    return torch.cat([torch.as_tensor(value, dtype=torch.float64).cpu().flatten() for value in values]).mean().item()


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


def parameter_groups(stage: Stage[Any]) -> dict[str, list[ParameterGroup]]:
    """What each optimiser of a stage trains: by default all parameters that need a gradient, in one group."""
    if isinstance(stage, GroupedStage):
        return stage.groups()
    return {"main": [ParameterGroup([p for p in stage.network.parameters() if p.requires_grad])]}


def build_stage(experiment: Experiment) -> Stage[Any]:
    """The stage that an experiment names, with its network.

    Raises:
        InputError: unknown stage, or keys and values that it does not know.
    """
    stage: Stage[Any] = maker(experiment.stage, STAGES, "stage")(experiment)
    return stage


def check_crop(data: DataConfig, multiple: int) -> None:
    """Raise `InputError` unless both sides of ``data.crop`` are multiples of what the networks of a stage need."""
    if any(side % multiple for side in data.crop):
        raise InputError(f"data.crop={list(data.crop)}: both sides must be multiples of {multiple} for this network")

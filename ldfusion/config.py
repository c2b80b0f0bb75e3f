"""The schema of an experiment.

A configuration is a YAML file whose keys are the fields below, see `ldfusion.recipes`; every field has a default, so a
file holds only what its experiment changes. Overrides from a command line are ``section.key=value`` words.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from ldfusion.errors import InputError

Settings = TypeVar("Settings")


@dataclass
class DataConfig:
    """Which pairs are read and how they are augmented."""

    root: str = ""
    """Folder of the data sets; a row of ``datasets.yaml`` says how each is laid out below it."""
    catalog: str = ""
    """File of further rows in the form of ``datasets.yaml``, for data sets of one's own."""
    datasets: list[str] = field(default_factory=lambda: ["roadscene", "msrs"])
    """Rows of ``datasets.yaml`` to train on."""
    val_datasets: list[str] = field(default_factory=lambda: ["roadscene", "msrs"])
    """Rows to validate on."""
    train_split: str = "splits/train.txt"
    """Split file below the root, lines ``dataset/stem``; empty: every pair."""
    val_split: str = "splits/val.txt"
    """Split file of the validation pairs."""
    captions: str = "captions.jsonl"
    """Caption file below the root, one JSON object a line; empty: no captions."""
    boxes: str = "pseudo_boxes.jsonl"
    """Box file below the root, one JSON object a line; needed by the stage that trains the detector."""
    labels: str = ""
    """Folder of depth pseudo-labels made by ``scripts/prepare_data.py depth``; needed by the stages that use depth."""
    crop: list[int] = field(default_factory=lambda: [160, 160])
    """Height and width of a training sample, pixels; both divisible by the network's total stride."""
    scale: list[float] = field(default_factory=lambda: [0.6, 1.4])
    """Range of the random zoom before cropping (1 keeps the file's resolution)."""
    full_frame: bool = False
    """True: the sample is the whole frame resized to ``crop`` after a zoom-in within ``scale``; False: a crop."""
    flip: float = 0.5
    """Probability of a horizontal mirror image."""
    jitter: float = 0.2
    """Strength of the photometric jitter: gain, bias and gamma of each modality, saturation of the visible image."""
    workers: int = 0
    """Loader processes of each training process."""
    cache: bool = True
    """Keep decoded files in memory (8 bit)."""
    limit: int = 0
    """Use only the first pairs of the split; 0: all."""
    synthetic: int = 0
    """Add this many rendered scenes (exact truth) to the training pairs."""
    lights: list[str] = field(default_factory=list)
    """Lights of the rendered scenes, taken in turn; empty: drawn for every scene."""

    def __post_init__(self) -> None:
        _need("data.crop", self.crop, len(self.crop) == 2 and min(self.crop) > 0, "two sizes, [height, width]")
        in_order = len(self.scale) == 2 and 0 < self.scale[0] <= self.scale[1]
        _need("data.scale", self.scale, in_order, "[least, largest] zoom, both above 0")
        _need("data.flip", self.flip, 0 <= self.flip <= 1, "a probability, 0 to 1")
        _need("data.jitter", self.jitter, 0 <= self.jitter < 1, "at least 0 and below 1")
        for name in ("workers", "limit", "synthetic"):
            _need(f"data.{name}", getattr(self, name), getattr(self, name) >= 0, "0 or more")


@dataclass
class OptimizerConfig:
    """One optimiser and the schedule of its learning rate."""

    name: str = "adamw"
    """``adamw``, ``adam`` (weight decay as an L2 penalty) or ``sgd``."""
    lr: float = 1e-4
    weight_decay: float = 0.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    """Of Adam."""
    momentum: float = 0.9
    """Of SGD."""
    schedule: str = "cosine"
    """``cosine`` or ``poly`` (both end at 0), or ``constant``; each with warm-up."""
    power: float = 0.9
    """Exponent of the ``poly`` schedule, lr (1 - k / K)^power."""
    warmup: int = 50
    """Steps of warm-up."""
    warmup_from: float = 0.0
    """0: the warm-up is linear from nothing; else it is exponential from this learning rate."""

    def __post_init__(self) -> None:
        self.check("optim")

    def check(self, where: str) -> None:
        """Raise `InputError` for a value out of range; ``where`` is the section that the line names."""
        _need(f"{where}.lr", self.lr, self.lr > 0, "above 0")
        in_range = len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas)
        _need(f"{where}.betas", self.betas, in_range, "two numbers of at least 0 and below 1")
        _need(f"{where}.momentum", self.momentum, 0 <= self.momentum < 1, "at least 0 and below 1")
        _need(f"{where}.power", self.power, self.power > 0, "above 0")
        for name in ("weight_decay", "warmup", "warmup_from"):
            _need(f"{where}.{name}", getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _choose(f"{where}.name", self.name, ("adam", "adamw", "sgd"))
        _choose(f"{where}.schedule", self.schedule, ("constant", "cosine", "poly"))


@dataclass
class TaskOptimizerConfig(OptimizerConfig):
    """The defaults of SeAFusion's segmentation network (Tang et al. 2022 and their code)."""

    name: str = "sgd"
    lr: float = 1e-2
    weight_decay: float = 5e-4
    schedule: str = "poly"
    warmup: int = 1000
    warmup_from: float = 1e-5

    def __post_init__(self) -> None:
        self.check("optim.task")


@dataclass
class OptimConfig(OptimizerConfig):
    """Optimiser, schedule and numerical precision."""

    clip: float = 1.0
    """Largest gradient norm; 0: no clipping."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights (ramped up over the first steps); 0: none."""
    precision: str = "fp32"
    """``fp32``, or mixed precision with ``bf16`` or ``fp16``."""
    task: TaskOptimizerConfig = field(default_factory=TaskOptimizerConfig)
    """Optimiser of the second network of a stage that alternates between two (``seafusion``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _need("optim.ema", self.ema, 0 <= self.ema < 1, "at least 0 and below 1")
        _need("optim.clip", self.clip, self.clip >= 0, "0 or more")
        _choose("optim.precision", self.precision, ("fp32", "bf16", "fp16"))


@dataclass
class TrainConfig:
    """Length of a run and what it leaves behind."""

    steps: int = 1000
    """Optimiser steps; the learning-rate schedule spans them."""
    stop: int = 0
    """End after this step all the same; 0: after the last."""
    init: str = ""
    """Folder of exported weights to start from (fine-tuning); empty: random."""
    init_mean: list[str] = field(default_factory=list)
    """Folders of further runs of the same network: the start is the mean of the weights of all."""
    init_fewer: bool = False
    """``init`` may be of a network with fewer classes: they become the first ones here, the others start at random."""
    batch: int = 8
    """Samples of one optimiser step, over all processes and accumulation steps together."""
    accumulate: int = 1
    """Backward passes summed into one optimiser step."""
    validate_every: int = 0
    """Steps between validations; 0: only at the end."""
    checkpoint_every: int = 200
    """Steps between checkpoints; 0: only at the end."""
    keep: int = 2
    """Checkpoints kept."""
    log_every: int = 20
    """Steps between lines of the TensorBoard log."""
    tracker: str = "tensorboard"
    """``tensorboard`` or ``none``."""
    resume: bool = True
    """Go on from the newest checkpoint of the output folder when there is one; False: drop them and start anew."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "keep", "log_every"):
            _need(f"train.{name}", getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("stop", "validate_every", "checkpoint_every"):
            _need(f"train.{name}", getattr(self, name), getattr(self, name) >= 0, "0 or more")
        whole = self.batch % self.accumulate == 0
        _need("train.batch", self.batch, whole, f"a multiple of train.accumulate={self.accumulate}")
        _choose("train.tracker", self.tracker, ("tensorboard", "none"))


@dataclass
class Experiment:
    """One training run."""

    stage: str = ""
    """Which network is trained: a name of ``ldfusion.training.stages``."""
    output: str = ""
    """Folder of the run: checkpoints, logs, pictures and the exported weights."""
    seed: int = 0
    model: dict[str, Any] = field(default_factory=dict)
    """Arguments of the stage's network."""
    loss: dict[str, Any] = field(default_factory=dict)
    """Weights of the losses and what they ask for."""
    sample: dict[str, Any] = field(default_factory=dict)
    """What the stage makes of a pair before it is a training sample."""
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        _need("seed", self.seed, self.seed >= 0, "0 or more")


def _need(name: str, value: Any, holds: bool, wanted: str) -> None:
    if not holds:
        raise InputError(f"{name}={value}: must be {wanted}")


def _choose(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"{name}: unknown {name.rsplit('.', 1)[-1]} '{value}'; {nearest(value, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` or the list of what is known, to end an error line with."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


def check_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `InputError` naming the first unknown key and its nearest known one."""
    names = list(known)
    for key in given:
        if key not in names:
            raise InputError(f"{where}: unknown key '{key}'; {nearest(str(key), names)}")


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    """Check a free section (``model``, ``loss``) against the arguments of what it configures."""
    known = [n for n in inspect.signature(function).parameters if n not in {"self", "kwargs", "args"}]
    check_keys(given, known, where)


def settings(schema: type[Settings], given: Mapping[str, Any], where: str) -> Settings:
    """A free section (``loss``, ``sample``) as the dataclass that a stage declares.

    A mapping within adds to its default.

    Raises:
        InputError: an unknown key (the nearest known one is named) or a value of a wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    check_keys(given, (f.name for f in dataclasses.fields(cast(Any, schema))), where)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), dict(given))
        return cast(Settings, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise InputError(f"{where}.{error.full_key}: {str(error).splitlines()[0]}") from error


def dump(experiment: Experiment) -> dict[str, Any]:
    """The resolved configuration as plain values, for logs and the run's ``config.yaml``."""
    return dataclasses.asdict(experiment)

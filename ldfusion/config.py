"""The schema of an experiment and the one loader of configuration files.

A configuration is a YAML file whose keys are the fields below; every field has a default, so a file holds only what
its experiment changes. Overrides from a command line are ``section.key=value`` words.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ldfusion.errors import InputError


@dataclass
class DataConfig:
    """Which pairs are read and how they are augmented."""

    root: str = ""
    """Folder of the data sets; a row of ``datasets.yaml`` says how each is laid out below it."""
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


@dataclass
class OptimConfig:
    """Optimiser, schedule and numerical precision."""

    lr: float = 1e-4
    weight_decay: float = 0.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    schedule: str = "cosine"
    """``cosine`` or ``constant`` (each with warm-up), as named by ``diffusers.optimization.get_scheduler``."""
    warmup: int = 50
    """Steps of linear warm-up."""
    clip: float = 1.0
    """Largest gradient norm; 0: no clipping."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights (ramped up over the first steps); 0: none."""
    precision: str = "fp32"
    """``fp32``, or mixed precision with ``bf16`` or ``fp16``."""


@dataclass
class TrainConfig:
    """Length of a run and what it leaves behind."""

    steps: int = 1000
    """Optimiser steps."""
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
    """Go on from the newest checkpoint of the output folder when there is one."""


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
    """Weights of the losses and settings of the stage."""
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


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
            raise InputError(f"{where}: unknown key '{key}'; {nearest(key, names)}")


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    """Check a free section (``model``, ``loss``) against the arguments of what it configures."""
    known = [n for n in inspect.signature(function).parameters if n not in {"self", "kwargs", "args"}]
    check_keys(given, known, where)


def load(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Read a configuration file and apply ``section.key=value`` overrides.

    Raises:
        InputError: missing file, invalid YAML, unknown key (the nearest known one is named) or a value of a wrong type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    file = Path(path)
    if not file.is_file():
        raise InputError(f"{file}: no such configuration file")
    try:
        given = OmegaConf.load(file)
        if not OmegaConf.is_dict(given):
            raise InputError(f"{file}: a configuration is a mapping of sections, not a list or a word")
        words = [str(word) for word in overrides]
        for word in words:
            if "=" not in word:
                raise InputError(f"override '{word}': write it as section.key=value")
        merged = OmegaConf.merge(given, OmegaConf.from_dotlist(words))
        _check_schema(OmegaConf.to_container(merged, resolve=True), Experiment, str(file))
        experiment = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Experiment), merged))
    except YAMLError as error:
        raise InputError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    except OmegaConfBaseException as error:
        raise InputError(f"{file}: {str(error).splitlines()[0]} (key '{error.full_key}')") from error
    assert isinstance(experiment, Experiment)
    return experiment


def _check_schema(given: Any, schema: type, where: str) -> None:
    fields = {f.name: f for f in dataclasses.fields(schema)}
    check_keys(given, fields, where)
    for name, f in fields.items():
        factory = f.default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory) and isinstance(given.get(name), Mapping):
            _check_schema(given[name], factory, f"{where}, section '{name}'")


def dump(experiment: Experiment) -> dict[str, Any]:
    """The resolved configuration as plain values, for logs and the run's ``config.yaml``."""
    return dataclasses.asdict(experiment)

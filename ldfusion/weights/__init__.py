"""The embedded default pipeline, one folder a component, and the one way to read weights of any network.

Weights are safetensors with a ``config.json`` beside them. Checkpoints in published layouts may be torch files; only
tensors are read from those, nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ldfusion.errors import InputError

FOLDER = Path(__file__).parent

Network = TypeVar("Network", bound=nn.Module)


def place(given: str | Path) -> Path:
    """The folder that a path names; ``embedded/NAME`` is that of the embedded network, from whatever folder."""
    parts = Path(given).parts
    return FOLDER.joinpath(*parts[1:]) if parts[:1] == ("embedded",) else Path(given)


def component_folder(name: str, given: str | Path = "") -> Path:
    """Folder of a component's weights: the given one, else the embedded one.

    Raises:
        InputError: there is no ``config.json`` in it.
    """
    folder = place(given) if str(given) else FOLDER / name
    if not (folder / "config.json").is_file():
        words = name.replace("_", " ")
        raise InputError(f"{folder}: no config.json there; give the folder of a trained {words} network")
    return folder


def load(kind: type[Network], name: str, folder: str | Path = "", **changes: Any) -> Network:
    """A network with its weights, float32, in evaluation mode.

    Args:
        kind: its class, a diffusers model.
        name: of the component.
        folder: of ``config.json`` and one safetensors file; empty: the embedded one.
        changes: arguments of the class that take the place of those in the configuration.

    Raises:
        InputError: no network there, a damaged file, or the weights of another network.
    """
    source = component_folder(name, folder)
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        wrong = "" if isinstance(config, dict) else "config.json holds no settings"
    except ValueError as error:
        wrong = f"config.json is not JSON, {error}"
    if not wrong and config.get("_class_name", kind.__name__) != kind.__name__:
        wrong = f"it is the folder of a {config['_class_name']}"
    files = sorted(source.glob("*.safetensors"))
    if not wrong and len(files) != 1:
        wrong = f"it holds {len(files)} safetensors files, one is expected"
    if wrong:
        raise InputError(f"{source}: cannot be loaded as '{name}': {wrong}")
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    network: Network = kind.from_config({**settings, **changes})  # type: ignore[attr-defined]
    return fill(network, read_state(files[0]), source, name)


def fill(network: Network, state: Mapping[str, Tensor], source: str | Path, name: str) -> Network:
    """Put tensors into a network: every one it has and no other, of its shapes, finite. It is set to evaluation mode.

    Args:
        network: takes them in its own precision.
        state: tensors by name.
        source: where they are from, for the message.
        name: what the network is called in it.

    Raises:
        InputError: they are another network's, or not finite.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[1:2]).strip()
        raise InputError(
            f"{source}: cannot be loaded as '{name}': the weights of another network ({reason})"
        ) from error
    _check_finite(state, source, name)
    return network.eval()


def check_components(components: Mapping[str, Any], folder: Path | None) -> None:
    """Whether networks that diffusers has loaded are those of a pipeline's files: it leaves out what does not fit.

    Args:
        components: networks by name, other things are passed over.
        folder: of the pipeline; None: only the values are looked at.

    Raises:
        InputError: a file lacks a tensor, has one that is none of its network's, or holds values that are not finite.
    """
    from diffusers import ModelMixin

    for name, network in components.items():
        if not isinstance(network, nn.Module):
            continue
        own = network.state_dict()
        files = [] if folder is None else sorted((folder / name).glob("*.safetensors"))
        if len(files) == 1 and isinstance(network, ModelMixin):  # transformers leaves out tied tensors, in its own way
            with safe_open(files[0], "pt") as stored:
                names = set(stored.keys())
            for kind, wrong in (("lacks", own.keys() - names), ("has the unknown", names - own.keys())):
                if wrong:
                    raise InputError(f"{files[0]} {kind} tensor '{min(wrong)}': the weights of another network")
        _check_finite(own, folder or "weights", name)


def _check_finite(state: Mapping[str, Tensor], source: str | Path, name: str) -> None:
    broken = next((key for key, value in state.items() if not bool(torch.isfinite(value).all())), None)
    if broken is not None:
        raise InputError(f"{source}: cannot be loaded as '{name}': '{broken}' holds values that are not finite")


def read_state(file: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or torch file by name, in the shapes and types in which they are stored.

    Raises:
        InputError: missing, damaged, or something else than tensors by name.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"{path}: no such weight file")
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as weights ({reason}); give a safetensors or torch file") from error
    if isinstance(state, dict) and isinstance(state.get("model_state"), dict):  # VoxelMorph's own layout
        state = state["model_state"]
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds {type(state).__name__}, not the tensors of a network")
    return state


def digest(*folders: Path) -> str:
    """Sixteen hexadecimal digits that name the weights below some folders."""
    found = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.safetensors")):
            found.update(file.read_bytes())
    return found.hexdigest()[:16]

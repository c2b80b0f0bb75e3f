"""Weights of the registration networks: folders of our own, and checkpoints in the published layouts.

The published checkpoints are torch files (state dicts, or VoxelMorph's dictionary with ``model_state``); they are read
with ``weights_only=True``, so nothing in them is executed. Converted to safetensors they are read as well.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ldfusion.errors import InputError
from ldfusion.weights import component_folder

_NO_WEIGHTS = (".grid",)
"""Endings of stored buffers that are computed here: the pixel grids of the spatial transformers."""


Network = TypeVar("Network", bound=nn.Module)


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or torch file by name, float32, without buffers that are computed here.

    Raises:
        InputError: missing, damaged, or something else than a dictionary of tensors.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such weight file")
    try:
        if file.suffix == ".safetensors":
            state: Any = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file}: cannot be read as weights ({reason}); give a safetensors or torch file") from error
    if isinstance(state, dict) and isinstance(state.get("model_state"), dict):
        state = state["model_state"]
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{file}: holds no state dict; give the weights of a registration network")
    return {name: value.float() for name, value in state.items() if not name.endswith(_NO_WEIGHTS)}


def load_network(kind: type[Network], name: str, weights: str | Path, changes: Mapping[str, Any]) -> Network:
    """A network with its weights, in evaluation mode, float32.

    Args:
        kind: its class, a diffusers model with a class method ``published_config(state)`` that tells the configuration
            a published state dict was trained with.
        name: of the embedded component.
        weights: folder with ``config.json``, or a published checkpoint; the embedded folder if empty.
        changes: configuration values to override.

    Raises:
        InputError: weights that are missing, damaged, or of another network.
    """
    model: Any = kind
    given = Path(weights)
    if str(weights) and not given.is_dir():
        source, state = given, read_state(given)
        config = model.published_config(state)
    else:
        source = component_folder(name, weights)
        config = {k: v for k, v in dict(model.load_config(source)).items() if not k.startswith("_")}
        files = sorted(source.glob("*.safetensors"))
        if len(files) != 1:
            raise InputError(f"{source}: holds {len(files)} safetensors files; one is expected")
        state = read_state(files[0])
    network: Network = model.from_config({**config, **changes})
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).splitlines()[1:2]).strip() or str(error)
        raise InputError(f"{source}: these are the weights of another network than '{name}' ({reason})") from error
    return network.eval()

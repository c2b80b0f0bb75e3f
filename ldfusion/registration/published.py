"""Weights of the networks of the registration papers: folders of our own, and checkpoints in the published layouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from ldfusion.weights import fill, load, read_state

_COMPUTED = (".grid",)
"""Endings of stored buffers that are computed here: the pixel grids of the spatial transformers."""

Network = TypeVar("Network", bound=nn.Module)


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
    given = Path(weights)
    if not str(weights) or given.is_dir():
        return load(kind, name, weights, **changes)
    state: dict[str, Tensor] = {key: value for key, value in read_state(given).items() if not key.endswith(_COMPUTED)}
    model: Any = kind
    return fill(model.from_config({**model.published_config(state), **changes}), state, given, name)

"""Starting a run from exported weights instead of random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ldfusion.errors import InputError
from ldfusion.weights import fill, read_state


def start_from(network: nn.Module, folders: Sequence[Path], fewer: bool = False) -> None:
    """Load exported weights, or the mean of those of several runs, into a network of the same sizes.

    Args:
        network: to load into.
        folders: each holds one safetensors file, of networks of one kind.
        fewer: tensors may have fewer rows than here, as those of a network with fewer classes: they become the first.

    Raises:
        InputError: not one network there, or one of other sizes.
    """
    states: list[dict[str, Tensor]] = []
    for folder in folders:
        files = sorted(folder.glob("*.safetensors"))
        if len(files) != 1:
            raise InputError(
                f"train.init: {folder} holds {len(files)} safetensors files; give the folder of one network"
            )
        state = read_state(files[0])
        if fewer:
            state = {name: _first_rows(value, network.state_dict().get(name)) for name, value in state.items()}
        fill(network, state, f"train.init: {files[0]}", type(network).__name__)
        states.append({name: value.clone() for name, value in network.state_dict().items()})
    if len(states) > 1:
        network.load_state_dict(mean_state(states))


def mean_state(states: Sequence[Mapping[str, Tensor]], shares: Sequence[float] = ()) -> dict[str, Tensor]:
    """Mean of the weights of several runs of one network (Wortsman et al. 2022); whole numbers are the first one's.

    Args:
        states: of the same names and shapes.
        shares: how much each counts, of any sum above 0; by default all the same.
    """
    parts = torch.tensor(list(shares) or [1.0] * len(states))
    parts = parts / parts.sum()
    return {
        name: sum((p * state[name].float() for p, state in zip(parts, states, strict=True)), torch.zeros(()))
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def _first_rows(value: Tensor, own: Tensor | None) -> Tensor:
    """``own`` with ``value`` as its first rows, where it has more; else ``value``."""
    if own is None or own.ndim == 0 or own.shape[1:] != value.shape[1:] or len(own) <= len(value):
        return value
    return torch.cat([value.to(own.dtype), own[len(value) :]])

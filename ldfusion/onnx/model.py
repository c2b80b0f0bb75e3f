"""Writing a PyTorch network as an ONNX file that says what it is, and comparing the two."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ldfusion import __version__
from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write
from ldfusion.onnx.session import MISSING, OnnxModel

OPSET = 18
"""The first one with resizing that is low-pass filtered."""
LARGEST = 16384
"""Pixels a side."""


@torch.no_grad()
def write_model(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    about: Mapping[str, str],
    opset: int = OPSET,
    multiple: int = 1,
) -> None:
    """Write a network whose inputs are images, with batch, height and width free.

    The file holds ``about``, and of the pair of `probe` the SHA-256 of the 8-bit codes of the first output and its mean
    (``picture_sha256``, ``picture_mean``): who runs the file elsewhere can tell whether it gives the same.

    Args:
        network: in evaluation mode.
        inputs: an example (B, C, H, W) of each input by name, in the order of the network's arguments; all of one size.
        outputs: names.
        path: of the file; one that is there is replaced.
        about: what the file says of itself.
        opset: of ONNX.
        multiple: height and width of the inputs must be multiples of this.

    Raises:
        InputError: ``onnx`` or ``onnxscript`` is not installed, or the network cannot be written in this opset.
    """
    onnx = _onnx_library()
    dims = {axis: torch.export.Dim.AUTO for axis in (0, 2, 3)}
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple(dims for _ in inputs),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise InputError(
            f"cannot be written in opset {opset}: {reason[0] if reason else type(error).__name__}; "
            f"the default is {OPSET}"
        ) from error
    assert program is not None
    model: Any = program.model_proto
    _name_sizes(model, multiple)
    facts = {**about, "producer": "ldfusion", "version": __version__, "opset": str(opset)}
    with atomic_write(path) as temporary:
        _store(onnx, model, facts, temporary)
        found = OnnxModel(temporary).run(*(value.numpy() for value in probe(inputs, multiple).values()))[0]
        facts |= {"picture_sha256": checksum(found), "picture_mean": f"{found.mean():.6f}"}
        _store(onnx, model, facts, temporary)


def probe(inputs: Mapping[str, Tensor], multiple: int = 1) -> dict[str, Tensor]:
    """Images (1, C, 96, 128) for every input, at channel c, row y and column x: ((7 + c) x + (3 + c) y) mod 97 / 96."""
    height, width = (-(-side // multiple) * multiple for side in (96, 128))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images = {}
    for k, (name, value) in enumerate(inputs.items()):
        channels = [((7 + c + k) * x + (3 + c + k) * y) % 97 / 96 for c in range(value.shape[1])]
        images[name] = torch.stack(channels)[None].float()
    return images


def checksum(image: NDArray[np.float32]) -> str:
    """SHA-256 of the 8-bit codes of values in [0, 1], of any shape."""
    return hashlib.sha256(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).tobytes()).hexdigest()


@torch.no_grad()
def largest_difference(network: nn.Module, model: OnnxModel, *values: Tensor) -> float:
    """The largest difference between the first outputs of a network and of its file, for the same inputs."""
    own = network(*values)
    own = own[0] if isinstance(own, tuple) else own
    found = model.run(*(value.contiguous().numpy() for value in values))[0]
    return float(np.abs(found - own.numpy()).max())


def _store(onnx: Any, model: Any, facts: Mapping[str, str], file: Path) -> None:
    del model.metadata_props[:]
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())


def _name_sizes(model: Any, multiple: int) -> None:
    """Free dimensions get names that a reader understands."""
    words = {0: "batch", 2: "height", 3: "width"}
    for value in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if axis in words and not dim.dim_value:
                dim.dim_param = words[axis]
    if multiple > 1:
        model.doc_string = f"height and width must be multiples of {multiple}"


def _onnx_library() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(MISSING.format(error.name)) from error
    return onnx


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter talks to its developers."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)

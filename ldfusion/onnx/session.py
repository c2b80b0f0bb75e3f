"""An exported network, run by ONNX Runtime on the CPU; nothing of it needs PyTorch."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError

MISSING = "{} is not installed; pip install 'ldfusion[onnx]'"

Array = NDArray[np.float32]


class OnnxModel:
    """A file of ``ldfusion export``, or any other whose inputs and outputs are float32.

    Args:
        path: the file.
        threads: of every operation; 0: as many as ONNX Runtime thinks right.

    Attributes:
        about: what the file says of itself, see `ldfusion.onnx.model.write_model`.
        inputs: names of its inputs.

    Raises:
        InputError: ONNX Runtime is not installed, or this is no file of a network that it can run.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        runtime = runtime_library()
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such file; make it with 'ldfusion export'")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # each kind of failure has a class of its own in onnxruntime's C module
            raise InputError(f"{path}: not a network that ONNX Runtime can run ({_first_line(error)})") from error
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.inputs = [each.name for each in self._session.get_inputs()]

    def run(self, *values: Array) -> list[Array]:
        """The outputs for inputs in the order of ``inputs``.

        Raises:
            InputError: inputs of shapes that the network does not take.
        """
        try:
            found: list[Array] = self._session.run(None, dict(zip(self.inputs, values, strict=True)))
        except Exception as error:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in zip(self.inputs, values, strict=False))
            raise InputError(f"{self.path}: cannot be run on {shapes}: {_first_line(error)}") from error
        return found


def runtime_library() -> ModuleType:
    """The module ``onnxruntime``.

    Raises:
        InputError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(MISSING.format("onnxruntime")) from error
    found: ModuleType = onnxruntime
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

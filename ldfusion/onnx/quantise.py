"""Convolutions of an exported network in eight bits: static quantisation, calibrated on images."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io.files import atomic_write
from ldfusion.onnx.session import MISSING, OnnxModel, runtime_library

Images = Sequence[NDArray[np.float32]]
"""One image for each input of the network."""


def quantise(source: Path, target: Path, calibration: Sequence[Images]) -> None:
    """Write an exported network with the weights and activations of its convolutions in eight bits.

    Weights get a scale for each channel; those of activations come from what passes on the calibration images. What is
    not a convolution stays as it is. The file says ``precision: int8``.

    Args:
        source: file of `write_model`.
        target: file to write; one that is there is replaced.
        calibration: images, each as the network takes them.

    Raises:
        InputError: ``onnx`` is not installed, or there is no image.
    """
    runtime_library()
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise InputError(MISSING.format(error.name)) from error
    if not calibration:
        raise InputError("int8: no image to calibrate on")
    names = OnnxModel(source).inputs

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            images = next(self.left, None)
            return None if images is None else dict(zip(names, images, strict=True))

    with tempfile.TemporaryDirectory() as folder, _quiet(), atomic_write(target) as temporary:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(temporary),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(str(temporary))
        known = onnx.load(str(source)).metadata_props
        del model.metadata_props[:]
        for each in known:
            model.metadata_props.add(key=each.key, value=each.value)
        model.metadata_props.add(key="precision", value="int8")
        Path(temporary).write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's tools talk through the root logger and print."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logging.getLogger().setLevel(level)

"""What crosses the borders of the program: ranges, units and shapes are defined here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

ImageInput = Image.Image | np.ndarray[Any, Any] | Tensor
Images = ImageInput | Sequence[ImageInput]
"""One image, or several of one size."""


TransformModel = Literal["affine", "homography", "flow"]


@dataclass(frozen=True, eq=False)
class Registration:
    """Where the pixels of an infrared (moving) image lie in the visible (fixed) image of the same scene.

    Attributes:
        matrix: (3, 3) float64, infrared pixels (x, y, 1) -> visible pixels, pixel centres at integers, last entry 1.
            The best estimate even when it is not trusted.
        model: ``affine`` and ``homography`` are all in the matrix; with ``flow`` the matrix is its best linear part.
        score: 0 (nothing agrees) to 1 (everything agrees).
        trusted: whether the score speaks for a successful registration. Otherwise the infrared image should be used
            as it came.
        flow: (2, H, W) float32 on the visible grid, backward: visible pixel x shows infrared pixel x + flow(x), in
            infrared pixels, (x, y) order; None where the matrix says it all.
    """

    matrix: NDArray[np.float64]
    model: TransformModel
    score: float
    trusted: bool
    flow: Tensor | None = None

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
            raise ValueError(f"need an invertible 3x3 matrix of finite numbers, got {self.matrix!r}")
        if self.model not in get_args(TransformModel):
            raise ValueError(f"unknown transform model '{self.model}'")
        if not 0 <= self.score <= 1:
            raise ValueError(f"need a score within 0..1, got {self.score}")
        if (self.model == "flow") != (self.flow is not None):
            raise ValueError("a flow belongs to the model 'flow' and to no other")
        if self.flow is not None and (self.flow.ndim != 3 or self.flow.shape[0] != 2):
            raise ValueError(f"need a flow (2, H, W), got {tuple(self.flow.shape)}")
        object.__setattr__(self, "matrix", matrix)


@dataclass(frozen=True)
class Pair:
    """One visible and one infrared image, on the same pixel grid once they are aligned.

    Attributes:
        name: what the pair is called in results and messages.
        visible: RGB (1, 3, H, W) float32 in [0, 1].
        infrared: (1, 1, H, W) float32 in [0, 1]; of any size until `ldfusion.registration.align.align` has seen it.
        visible_is_grey: the visible file has no colour; its one channel is repeated.
        infrared_size: (height, width) of the infrared file before it was resized to the visible image.
        registration: how the infrared image was brought onto the visible one; None: it was only resized.
        temperature: (1, 1, H, W) float32 in degrees C, NaN where the infrared image does not reach; None where the
            infrared file does not tell.
        limits: the values, in degrees C or the file's own units, that became 0 and 1; None for a file of 8 bits.
        exif: when, where and with what the visible image was taken, as an EXIF block; may be empty.
    """

    name: str
    visible: Tensor
    infrared: Tensor
    visible_is_grey: bool
    infrared_size: tuple[int, int]
    registration: Registration | None = None
    temperature: Tensor | None = None
    limits: tuple[float, float] | None = None
    exif: bytes = b""

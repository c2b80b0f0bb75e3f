"""What a video is to everything that reads one: frames with their times, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        time: when it is shown, seconds on the clock of its file.
        pixels: uint8, (H, W, 3) RGB from a visible reader, (H, W) from an infrared one.
    """

    time: float
    pixels: NDArray[np.uint8]

    def tensor(self) -> Tensor:
        """(1, 3, H, W) or (1, 1, H, W) float32 in [0, 1]."""
        pixels = self.pixels[..., None] if self.pixels.ndim == 2 else self.pixels
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is read through.

    Attributes:
        path: the file.
        size: (height, width) of its frames, upright.
        rate: mean frames a second.
        start: time of the first frame, seconds on the file's clock.
        duration: seconds from there to the end of the last frame, by the file's header; None where that does not say.
        is_grey: the frames have one channel.
        has_audio: there is sound beside the pictures.
    """

    path: Path
    size: tuple[int, int]
    rate: Fraction
    start: float
    duration: float | None
    is_grey: bool
    has_audio: bool


class Video(Protocol):
    """A context manager whose frames are read one after another.

    Attributes:
        path: the file or folder.
        info: see `VideoInfo`.
        damaged: frames, or parts of the file, passed over so far because they could not be decoded.
    """

    path: Path
    info: VideoInfo
    damaged: int

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames in order of time, from the beginning each time this is called.

        Args:
            start: the first frame shown at or after this, seconds on the video's clock.
            end: stop before the first frame at or after this.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

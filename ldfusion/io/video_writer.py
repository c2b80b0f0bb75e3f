"""Frames to an H.264 video file that every player shows: the one video writer of the project."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError, WorkError

OUTPUT_SUFFIXES = (".mp4", ".mov", ".mkv")
QUALITY = 18
"""Constant rate factor of H.264: 0 loses nothing, 18 looks the same, 51 is the worst."""

_CODECS = ("libx264", "libopenh264", "mpeg4")
_CLOCK = 90_000  # ticks a second: every usual frame rate is a whole number of them
_BT709 = 1


class VideoWriter:
    """Writes RGB frames as H.264, 4:2:0, BT.709; a context manager.

    The file grows under a hidden temporary name. It takes its own name when the block ends, also when that is by
    ctrl-C: what was written until then plays. Any other error leaves nothing.

    An odd side gets one more row or column, its last one repeated, since 4:2:0 halves the colour.

    Args:
        path: .mp4, .mov or .mkv.
        rate: nominal frames a second; each frame is shown at its own time.

    Attributes:
        frames: how many have been written.

    Raises:
        InputError: another suffix.
        WorkError: the folder or file cannot be written.
    """

    def __init__(self, path: str | Path, rate: Fraction) -> None:
        self.path, self.frames = Path(path), 0
        if self.path.suffix.lower() not in OUTPUT_SUFFIXES:
            raise InputError(f"{path}: videos are written as {', '.join(OUTPUT_SUFFIXES)}; give such a name")
        # the same each time, so that a later run replaces what a killed one has left
        self._temporary = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._last, self._finished = -1, False
        self._rate = rate.limit_denominator(1001)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(f"file:{self._temporary}", "w")
        except OSError as error:
            raise WorkError(f"cannot write {self.path}: {error.strerror}") from error
        self._stream: Any = None

    def write(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Add a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB, the same size each time.
            time: seconds since the first frame; a time that does not rise is moved on by the least step.

        Raises:
            WorkError: it cannot be written, for instance because the disk is full.
        """
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        try:
            stream = self._stream or self._add_stream(*pixels.shape[:2])
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
            self._last = max(round(time * _CLOCK), self._last + 1)
            frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK)
            self._container.mux(stream.encode(frame))
        except OSError as error:
            raise WorkError(f"cannot write {self.path}: {error.strerror or error}") from error
        self.frames += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        keep = self.frames > 0 and (kind is None or issubclass(kind, KeyboardInterrupt))
        try:
            if keep:
                self.finish()
                os.replace(self._temporary, self.path)
            else:
                with contextlib.suppress(OSError):
                    self._container.close()
        except OSError as error:
            raise WorkError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink()

    def finish(self) -> None:
        """End the file, which still has its temporary name; no frame may follow.

        Raises:
            WorkError: it cannot be written.
        """
        if self._finished:
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._finished = True
        except OSError as error:
            with contextlib.suppress(OSError):
                self._container.close()
            raise WorkError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _add_stream(self, height: int, width: int) -> Any:
        name = next(name for name in _CODECS if name in av.codecs_available)
        stream: Any = self._container.add_stream(name, rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _CLOCK)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = 1  # limited
        if name == "libx264":
            context.options = {"crf": str(QUALITY), "preset": "veryfast"}
        self._stream = stream
        return stream

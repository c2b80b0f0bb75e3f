"""Video files to frames, one after another: the one video reader of the project.

Decoding is PyAV's (FFmpeg). However long the file, no more than a few frames are in memory. Frames come upright, in one
size, with their presentation times, in seconds on the file's own clock. Damaged packets cost the frames that need them
and are counted; only local files are opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io.container import counts_of, is_deep, is_grey, length, open_container, video_stream
from ldfusion.io.frame import Frame, VideoInfo
from ldfusion.io.image import COLOR_MAP_SPREAD, channel_spread
from ldfusion.io.notices import notice
from ldfusion.io.palette import to_grey, told_palette
from ldfusion.io.pixels import MAX_PIXELS, MIN_SIDE
from ldfusion.io.thermal import ThermalOptions, in_celsius, linear_gain, to_display, unit_of

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm"),
    *(".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".wmv"),
)
DEFAULT_RATE = Fraction(25)
"""Frames a second of a file that does not tell."""

_WORTH_A_SEARCH = 2.0  # seconds of frames that are rather decoded than searched past


class VideoReader:
    """Frames of a video file; a context manager.

    Args:
        path: anything that FFmpeg decodes.
        modality: ``visible`` gives RGB (grey is repeated, and the log says so). ``infrared`` gives one channel: of more
            than 8 bits through the gain of `ldfusion.io.thermal`, with the limits of the first frame for all, so that
            the sequence is steady; a colour-mapped video is turned back to grey by its palette, or reduced to its luma
            where that is unknown, and the log says so.
        options: of an infrared video: the unit of its counts, and fixed limits, in degrees C where it has them, else in
            its own units.

    Attributes:
        info: see `VideoInfo`.
        damaged: packets or frames passed over so far because they could not be decoded.

    Raises:
        InputError: no such file, no video, no video stream, a picture, not one frame that decodes, frames too small or
            too large.
    """

    def __init__(self, path: str | Path, modality: str = "visible", options: ThermalOptions | None = None) -> None:
        self.path, self.modality, self._options = Path(path), modality, options or ThermalOptions()
        self._limits = self._options.limits if modality == "infrared" else None
        self._unit = "counts"
        self.damaged = 0
        self._palette: str | None = None
        self._container = open_container(self.path)
        try:
            self._stream = video_stream(self._container, self.path)
            self._rate = self._stream.average_rate or self._stream.guessed_rate or DEFAULT_RATE
            first = next(self._decoded(), None)
            if first is None:
                raise InputError(f"{self.path}: not one frame of it can be decoded; export or copy it again")
            self._turns = round(first[1].rotation / 90) % 4
            self._size = (first[1].height, first[1].width)
            self.info = self._describe(*first)
            self._prepare(first[1])
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames in order of time, from the beginning each time this is called.

        Args:
            start: the first frame shown at or after this, seconds on the file's clock; earlier ones are not converted.
            end: stop before the first frame at or after this.

        Raises:
            InputError: the file cannot be read on.
        """
        # The clock of a container is exact to the microsecond at best; a frame is not missed for its own rounding.
        slack = 0.01 / float(self._rate)
        for time, frame in self._from(self.info.start if start is None else start):
            if end is not None and time >= end - slack:
                return
            if start is None or time >= start - slack:
                yield Frame(time, self._pixels(frame))

    def _from(self, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Decoded frames from the key frame before ``start`` on, or from the beginning where a search fails."""
        if start > self.info.start + _WORTH_A_SEARCH:
            with contextlib.suppress(av.error.FFmpegError):
                self.damaged = 0
                self._container.seek(int(start * av.time_base), backward=True)
                found = self._decoded()
                first = next(found, None)
                if first is not None and first[0] <= start:
                    yield first
                    yield from found
                    return
        self._container.close()
        self._container = open_container(self.path)
        self._stream = video_stream(self._container, self.path)
        self.damaged = 0
        yield from self._decoded()

    def _describe(self, time: float, frame: av.VideoFrame) -> VideoInfo:
        height, width = self._size if self._turns % 2 == 0 else self._size[::-1]
        if min(height, width) < MIN_SIDE:
            raise InputError(f"{self.path} is {width}x{height} pixels; at least {MIN_SIDE} a side are needed")
        if height * width > MAX_PIXELS:
            raise InputError(f"{self.path}: {width}x{height} pixels are over the limit of {MAX_PIXELS / 1e6:g} million")
        duration = length(self._container, self._stream, time)
        audio = bool(self._container.streams.audio)
        return VideoInfo(self.path, (height, width), self._rate, time, duration, is_grey(frame), audio)

    def _prepare(self, frame: av.VideoFrame) -> None:
        """Look at the first frame for what should be told, and fix the gain of a thermal video."""
        if self.modality == "visible":
            if self.info.is_grey:
                notice(f"{self.path} has no colour: its grey values are used for red, green and blue")
            return
        if is_deep(frame):
            given = self._options.unit
            self._unit = unit_of(counts_of(frame)) if given == "auto" else given
            values = self._values(frame)
            self._limits = to_display(values, str(self.path), self._limits, self._unit != "counts")[1]
        elif not is_grey(frame):
            picture: Any = frame.to_ndarray(format="rgb24")
            if channel_spread(picture)[1] > COLOR_MAP_SPREAD:
                self._palette = told_palette(self.path, picture)

    def _decoded(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Decoded frames with strictly rising times, from wherever the container stands."""
        step, last = 1 / float(self._rate), None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except (av.error.InvalidDataError, av.error.BufferTooSmallError):
                self.damaged += 1
                continue
            except av.error.FFmpegError as error:
                raise InputError(f"{self.path} cannot be read on: {error.strerror}") from error
            if packet is None:
                return
            for frame in frames:
                if frame.is_corrupt:
                    self.damaged += 1
                    continue
                time = frame.time
                if last is not None and (time is None or time <= last):
                    time = last + step
                last = 0.0 if time is None else float(time)
                yield last, frame

    def _pixels(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        if (frame.height, frame.width) != self._size:  # a stream may change its size on the way
            frame = frame.reformat(width=self._size[1], height=self._size[0], interpolation="AREA")
        if self.modality == "visible":
            pixels: Any = frame.to_ndarray(format="rgb24")
        elif self._limits is not None and is_grey(frame):
            pixels = np.rint(linear_gain(self._values(frame), self._limits) * 255).astype(np.uint8)
        elif self._palette is not None:
            pixels = frame.to_ndarray(format="rgb24")
            pixels = to_grey(pixels, self._palette)
        else:
            pixels = frame.to_ndarray(format="gray")
        return np.ascontiguousarray(np.rot90(pixels, self._turns)) if self._turns else pixels

    def _values(self, frame: av.VideoFrame) -> NDArray[Any]:
        """Of a grey frame: degrees C where the unit says so, else the stored values."""
        if not is_deep(frame):
            grey: NDArray[Any] = frame.to_ndarray(format="gray")
            return grey
        counts = counts_of(frame)
        return counts if self._unit == "counts" else in_celsius(counts, self._unit)

"""Video files to frames, one after another: the one video reader of the project.

Decoding is PyAV's (FFmpeg). However long the file, no more than a few frames are in memory. Frames come upright, in one
size, with their presentation times, in seconds on the file's own clock. Damaged packets cost the frames that need them
and are counted; only local files are opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.decode import MAX_PIXELS, MIN_SIDE
from ldfusion.io.image import COLOR_MAP_SPREAD, channel_spread
from ldfusion.io.notices import notice
from ldfusion.io.palette import to_grey, told_palette
from ldfusion.io.thermal import Limits, linear_gain, to_display

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".ts", ".mpg", ".mpeg", ".wmv")
DEFAULT_RATE = Fraction(25)
"""Frames a second of a file that does not tell."""

_WORTH_A_SEARCH = 2.0  # seconds of frames that are rather decoded than searched past
_NO_VIDEO_FORMATS = ("image2", "tty", "ico")  # pictures and texts that FFmpeg opens as a video of one frame


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
        duration: seconds, by the file's header; None where that does not say.
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


class VideoReader:
    """Frames of a video file; a context manager.

    Args:
        path: anything that FFmpeg decodes.
        modality: ``visible`` gives RGB (grey is repeated, and the log says so). ``infrared`` gives one channel: of more
            than 8 bits through the gain of `ldfusion.io.thermal`, with the limits of the first frame for all, so that
            the sequence is steady; a colour-mapped video is turned back to grey by its palette, or reduced to its luma
            where that is unknown, and the log says so.
        limits: fixed (low, high) of an infrared video of more than 8 bits, in its own units.

    Attributes:
        info: see `VideoInfo`.
        damaged: packets or frames passed over so far because they could not be decoded.

    Raises:
        InputError: no such file, no video, no video stream, a picture, not one frame that decodes, frames too small or
            too large.
    """

    def __init__(self, path: str | Path, modality: str = "visible", limits: Limits | None = None) -> None:
        self.path, self.modality, self._limits = Path(path), modality, limits
        self.damaged = 0
        self._palette: str | None = None
        self._container = _open(self.path)
        try:
            self._stream = _video_stream(self._container, self.path)
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

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        self._container = _open(self.path)
        self._stream = _video_stream(self._container, self.path)
        self.damaged = 0
        yield from self._decoded()

    def _describe(self, time: float, frame: av.VideoFrame) -> VideoInfo:
        height, width = self._size if self._turns % 2 == 0 else self._size[::-1]
        if min(height, width) < MIN_SIDE:
            raise InputError(f"{self.path} is {width}x{height} pixels; at least {MIN_SIDE} a side are needed")
        if height * width > MAX_PIXELS:
            raise InputError(f"{self.path}: {width}x{height} pixels are over the limit of {MAX_PIXELS / 1e6:g} million")
        stream, duration = self._stream, None
        if stream.duration is not None and stream.time_base is not None:
            duration = float(stream.duration * stream.time_base)
        elif self._container.duration is not None:
            duration = self._container.duration / av.time_base
        audio = bool(self._container.streams.audio)
        return VideoInfo(self.path, (height, width), self._rate, time, duration, _is_grey(frame), audio)

    def _prepare(self, frame: av.VideoFrame) -> None:
        """Look at the first frame for what should be told, and fix the gain of a thermal video."""
        if self.modality == "visible":
            if self.info.is_grey:
                notice(f"{self.path} has no colour: its grey values are used for red, green and blue")
            return
        if _is_deep(frame):
            if self._limits is None:
                self._limits = to_display(_counts(frame), str(self.path))[1]
        elif not _is_grey(frame):
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
        elif self._limits is not None and _is_deep(frame):
            pixels = np.rint(linear_gain(_counts(frame), self._limits) * 255).astype(np.uint8)
        elif self._palette is not None:
            pixels = frame.to_ndarray(format="rgb24")
            pixels = to_grey(pixels, self._palette)
        else:
            pixels = frame.to_ndarray(format="gray")
        return np.ascontiguousarray(np.rot90(pixels, self._turns)) if self._turns else pixels


def _open(path: Path) -> Any:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a video file")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes); copy or export it again")
        # Only files: a playlist must not make the program read from the network.
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path} is not a video that can be read ({reason}); give an MP4, MKV, AVI ... file"
        ) from error
    name = container.format.name
    if name in _NO_VIDEO_FORMATS or name.endswith("_pipe"):
        container.close()
        raise InputError(f"{path} is not a video ({name}); give a video file, or fuse images with 'ldfusion fuse'")
    return container


def _video_stream(container: Any, path: Path) -> Any:
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & pictures:  # the cover of a song is no video
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise InputError(f"{path} has no video stream ({', '.join(kinds) or 'nothing'} only); give a video file")


def _is_grey(frame: av.VideoFrame) -> bool:
    return len(frame.format.components) == 1 and not frame.format.has_palette


def _is_deep(frame: av.VideoFrame) -> bool:
    return _is_grey(frame) and frame.format.components[0].bits > 8


def _counts(frame: av.VideoFrame) -> NDArray[Any]:
    """Values of a grey frame of more than 8 bits, as they are stored."""
    if frame.format.name.startswith("grayf"):
        return frame.to_ndarray(format="grayf32le")
    bits = frame.format.components[0].bits
    counts: NDArray[Any] = frame.to_ndarray(format="gray16le")  # scaled to 16 bits
    return counts >> (16 - bits) if bits < 16 else counts

"""Cameras, streams and files played at their own rate: of each source the newest frame, whoever reads is late or not.

A thread reads each source and keeps one frame. A frame that is replaced before anybody has taken it is dropped, and
counted. A source that stops, or is not there yet, is opened again every second; a file that has been played is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from ldfusion.errors import InputError
from ldfusion.io.notices import notice
from ldfusion.io.video import Frame, VideoReader

RETRY = 1.0
"""Seconds until a source that has stopped is opened again."""
_LATE = 1.0  # seconds behind its clock at which a played file gives up catching up
_TIMEOUTS = {"timeout": "5000000", "rtsp_transport": "tcp", "fflags": "nobuffer"}


@dataclass(frozen=True)
class Newest:
    """A frame and the moment of `time.perf_counter` at which it arrived."""

    frame: Frame
    arrived: float


class LiveSource:
    """The newest frame of one source; a context manager.

    Args:
        name: what it is called in notices.
        frames: opens it and gives its frames, each time anew.
        paced: frames come when their times say so, as from a file; else they come when they are there.
        over: its end is its end; else it is opened again after `RETRY` seconds.
        changed: notified of every new frame; share one to wait for several sources.

    Attributes:
        received, dropped: frames so far, and those of them that nobody has taken.
        opened: how often it was opened.
        ended: there will be no more frames.
    """

    def __init__(
        self,
        name: str,
        frames: Callable[[], Iterator[Frame]],
        paced: bool,
        over: bool,
        changed: threading.Condition,
    ) -> None:
        self.name, self.changed = name, changed
        self.received = self.dropped = self.opened = 0
        self.ended = False
        self._frames, self._paced, self._over = frames, paced, over
        self._newest: Newest | None = None
        self.fresh = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"live {name}", daemon=True)

    def __enter__(self) -> LiveSource:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * RETRY)

    def take(self) -> Newest | None:
        """The newest frame, taken before or not; None before the first. Hold ``changed`` to call this."""
        self.fresh = False
        return self._newest

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            self.opened += 1
            try:
                self._play()
                line = f"{self.name} has stopped; it is opened again every {RETRY:g} s"
            except (InputError, OSError, av.error.FFmpegError) as error:
                line = f"{self.name}: {error}; it is opened again every {RETRY:g} s"
            if self._over:
                break
            if line != told and not self._stop.is_set():
                notice(line)
                told = line
            self._stop.wait(RETRY)
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _play(self) -> None:
        begin: float | None = None
        for frame in self._frames():
            if self._paced:
                now = time.perf_counter()
                begin = now - frame.time if begin is None or now - begin - frame.time > _LATE else begin
                self._stop.wait(max(0.0, begin + frame.time - now))
            if self._stop.is_set():
                return
            with self.changed:
                self.received += 1
                self.dropped += self.fresh
                self._newest, self.fresh = Newest(frame, time.perf_counter()), True
                self.changed.notify_all()


def open_source(source: str, modality: str, changed: threading.Condition, loop: bool = False) -> LiveSource:
    """A file, a camera (its number or ``/dev/video0``) or the address of a stream.

    Args:
        source: what the user calls it.
        modality: ``visible`` or ``infrared``.
        changed: see `LiveSource`.
        loop: play a file again when it ends.

    Raises:
        InputError: a file that is no video.
    """
    if "://" in source or source.isdigit() or source.startswith("/dev/"):
        device = f"/dev/video{source}" if source.isdigit() else source
        return LiveSource(source, lambda: _stream(device, modality), paced=False, over=False, changed=changed)
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source}: no such file; give a video, the number of a camera, or an address like rtsp://...")
    VideoReader(path, modality).close()  # an unusable file ends the program, not a thread

    def frames() -> Iterator[Frame]:
        with VideoReader(path, modality) as reader:
            yield from reader.frames()

    return LiveSource(source, frames, paced=True, over=not loop, changed=changed)


def _stream(address: str, modality: str) -> Iterator[Frame]:
    """Frames of a camera or a stream as they come, eight bits a channel."""
    camera = address.startswith("/dev/")
    layout = "rgb24" if modality == "visible" else "gray"
    with av.open(address, format="v4l2" if camera else None, options={} if camera else _TIMEOUTS) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise InputError(f"{address} has no video stream")
        stream.thread_type = "NONE"  # frames of threads come later
        begin = time.perf_counter()
        for frame in container.decode(stream):
            pixels: Any = np.ascontiguousarray(frame.to_ndarray(format=layout))
            yield Frame(time.perf_counter() - begin, pixels)

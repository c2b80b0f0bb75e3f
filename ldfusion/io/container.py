"""Opening video files with PyAV (FFmpeg), and what their streams and frames tell of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from numpy.typing import NDArray

from ldfusion.errors import InputError

_NO_VIDEO_FORMATS = ("image2", "tty", "ico")  # pictures and texts that FFmpeg opens as a video of one frame
_FROM_ZERO = "matroska"  # in whose header a length counts from time 0, in other formats from the first frame


def open_container(path: Path) -> Any:
    """Open a video file for reading.

    Raises:
        InputError: no such file, a folder, empty, or no video.
    """
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


def video_stream(container: Any, path: Path) -> Any:
    """The first stream of moving pictures.

    Raises:
        InputError: there is none.
    """
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & pictures:  # the cover of a song is no video
            return stream
    kinds = sorted({stream.type for stream in container.streams})
    raise InputError(f"{path} has no video stream ({', '.join(kinds) or 'nothing'} only); give a video file")


def length(container: Any, stream: Any, start: float) -> float | None:
    """Seconds from the first frame, shown at ``start``, to the end by the header; None where that does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None:
        return None
    whole = container.duration / av.time_base
    return float(whole - start) if container.format.name.startswith(_FROM_ZERO) and whole > start else float(whole)


def is_grey(frame: av.VideoFrame) -> bool:
    """Whether a frame has one channel."""
    return len(frame.format.components) == 1 and not frame.format.has_palette


def is_deep(frame: av.VideoFrame) -> bool:
    """Whether a frame has one channel of more than 8 bits."""
    return is_grey(frame) and frame.format.components[0].bits > 8


def counts_of(frame: av.VideoFrame) -> NDArray[Any]:
    """Values (H, W) of a grey frame of more than 8 bits, as they are stored."""
    if frame.format.name.startswith("grayf"):
        return frame.to_ndarray(format="grayf32le")
    bits = frame.format.components[0].bits
    counts: NDArray[Any] = frame.to_ndarray(format="gray16le")  # scaled to 16 bits
    return counts >> (16 - bits) if bits < 16 else counts

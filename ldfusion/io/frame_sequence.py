"""A folder of numbered frames as a video, and the one way to open either."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from ldfusion.errors import InputError
from ldfusion.io.files import IMAGE_SUFFIXES, images_in, some
from ldfusion.io.frame import Frame, Video, VideoInfo
from ldfusion.io.image import COLOR_MAP_SPREAD, channel_spread, display_of, read_visible
from ldfusion.io.notices import quiet
from ldfusion.io.palette import to_grey, told_palette
from ldfusion.io.radiometric import ThermalImage, common_limits, read_thermal
from ldfusion.io.thermal import ThermalOptions
from ldfusion.io.video import DEFAULT_RATE, VideoReader


class FrameSequence:
    """The images of a folder as frames in the order of the numbers in their names; a context manager.

    The commonest step between two numbers is one frame, so that a number that is missing is a gap in time, and two
    folders with the same numbers are in step.

    Args:
        folder: of images, see `ldfusion.io.files.IMAGE_SUFFIXES`, thermal files too.
        modality: ``visible`` or ``infrared``, see `VideoReader`; one gain, and one palette, for all frames.
        rate: frames a second.
        options: of an infrared sequence.

    Attributes:
        info: see `VideoInfo`.
        damaged: frames passed over so far because they could not be read.

    Raises:
        InputError: no images, names without numbers or with the same one twice, or not one frame that can be read.
    """

    def __init__(
        self,
        folder: str | Path,
        modality: str = "visible",
        rate: Fraction = DEFAULT_RATE,
        options: ThermalOptions | None = None,
    ) -> None:
        self.path, self.modality, self._options = Path(folder), modality, options or ThermalOptions()
        self.damaged = 0
        self._palette: str | None = None
        self._grey = False
        self._files = _numbered(self.path, rate)
        self._limits = self._options.limits
        if modality == "infrared" and self._limits is None:
            self._limits = common_limits([file for _, file in self._files], self._options)
        first = next(self._first(), None)
        if first is None:
            raise InputError(f"{self.path}: not one of its {len(self._files)} frames can be read; export them again")
        height, width = first.shape[:2]
        start = self._files[0][0]
        duration = self._files[-1][0] - start + float(1 / rate)
        self.info = VideoInfo(self.path, (height, width), rate, start, duration, self._grey, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open."""

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """See `Video`."""
        self.damaged = 0
        slack = 0.01 / float(self.info.rate)
        for time, file in self._files:
            if start is not None and time < start - slack:
                continue
            if end is not None and time >= end - slack:
                return
            try:
                with quiet():  # what is to be said was said of the first frame
                    pixels = self._read(file)
            except InputError:
                self.damaged += 1
                continue
            if pixels.shape[:2] != self.info.size:
                pixels = _resized(pixels, self.info.size)
            yield Frame(time, pixels)

    def _first(self) -> Iterator[NDArray[np.uint8]]:
        """The first frame that can be read; what it holds is said, and the palette of a coloured one kept."""
        for _, file in self._files:
            try:
                if self.modality == "infrared":
                    picture = read_thermal(file, self._options).values
                    if (
                        picture.dtype == np.uint8
                        and picture.ndim == 3
                        and channel_spread(picture)[1] > COLOR_MAP_SPREAD
                    ):
                        self._palette = told_palette(file, picture)
                yield self._read(file)
            except InputError:
                continue

    def _read(self, file: Path) -> NDArray[np.uint8]:
        if self.modality == "visible":
            image, self._grey = read_visible(file, page=self._options.page)
            return _levels(image.permute(1, 2, 0).numpy())
        found = read_thermal(file, self._options)
        if self._palette is not None and found.values.ndim == 3:
            found = ThermalImage(to_grey(found.values, self._palette))
        display, _ = display_of(found, str(file), self._limits)
        return _levels(display[0].numpy())


def open_video(
    path: str | Path,
    modality: str = "visible",
    rate: Fraction | None = None,
    options: ThermalOptions | None = None,
) -> Video:
    """A video file, or a folder of numbered frames.

    Args:
        rate: frames a second of a folder, 25 by default.
        options: of an infrared one.

    Raises:
        InputError: see `VideoReader` and `FrameSequence`.
    """
    if Path(path).is_dir():
        return FrameSequence(path, modality, rate or DEFAULT_RATE, options)
    return VideoReader(path, modality, options)


def _numbered(folder: Path, rate: Fraction) -> list[tuple[float, Path]]:
    """The images of a folder with their times, in order."""
    files = images_in(folder)[0]
    if not files:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        raise InputError(f"{folder} holds no image ({kinds}); give a video, or a folder of numbered frames")
    groups = [[int(digits) for digits in re.findall(r"\d+", file.stem)] for file in files]
    bare = [file.name for file, numbers in zip(files, groups, strict=True) if not numbers]
    if bare:
        raise InputError(f"{folder}: frames are told by the numbers in their names, which {some(bare)} lack")
    places = range(1, min(map(len, groups)) + 1)  # from the end: a name may hold a date or a camera's number as well
    place = next((k for k in places if len({numbers[-k] for numbers in groups}) == len(files)), 1)
    found: dict[int, Path] = {}
    for file, numbers in zip(files, groups, strict=True):
        number = numbers[-place]
        if number in found:
            raise InputError(f"{folder}: {found[number].name} and {file.name} are both frame {number}; remove one")
        found[number] = file
    order = sorted(found)
    step = int(np.median(np.diff(order))) if len(order) > 1 else 1
    return [(float(Fraction(number, step) / rate), found[number]) for number in order]


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(h, w) or (h, w, 3) at (height, width)."""
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _levels(image: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(image * 255).astype(np.uint8)

"""TIFF files to arrays: decoded by tifffile, and by Pillow where that alone lacks a codec (LZW, JPEG)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from ldfusion.errors import InputError
from ldfusion.io.notices import notice
from ldfusion.io.pixels import DEEP, MAX_CHANNELS, ORIENTATION, bits_of, check_size, decode_cv2, expanded


def _choose_page(file: tifffile.TiffFile, path: Path, page: int | None) -> tuple[int, Any]:
    """Index of the page to read, and the page; says so where there are several of one kind."""
    count = len(file.pages)
    if page is not None and not 1 <= page <= count:
        raise InputError(f"{path} has {count} page{'s' * (count > 1)}, there is no page {page}")
    first = file.pages.first
    if page is None and count > 1:
        others = sum(isinstance(p, tifffile.TiffPage) and not p.is_reduced for p in list(file.pages)[1:])
        if others:
            notice(f"{path} has {others + 1} pages: the first is read (--page N for another)")
    return (0, first) if page in (None, 1) else (page - 1, file.pages[page - 1])


def decode_tiff(path: Path, max_pixels: int, number: int | None) -> tuple[NDArray[Any], int]:
    """One page of a TIFF file and its orientation.

    Args:
        number: of the page, counted from 1; None: the first.

    Raises:
        InputError: too many channels or slices, no such page, or see `check_size`; decoders raise nearly anything.
    """
    with _silent("tifffile"), tifffile.TiffFile(path) as file:
        if not len(file.pages):
            raise ValueError("the page directory is missing")
        index, page = _choose_page(file, path, number)
        check_size(path, page.imagewidth, page.imagelength, max_pixels)
        if page.samplesperpixel > MAX_CHANNELS:
            raise InputError(f"{path} has {page.samplesperpixel} channels; give a grey or an RGB image")
        if page.imagedepth > 1:
            raise InputError(f"{path} is a volume of {page.imagedepth} slices; give a single image")
        if _tifffile_reads(page):
            array = page.asarray()
            array = np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
            return array.astype(array.dtype.newbyteorder("="), copy=False), page.tags.valueof(ORIENTATION, 1)
    with TiffImageFile(path) as image:
        image.seek(index)
        deep_color = len(image.getbands()) > 1 and bits_of(image) == DEEP
        image.load()  # turns the image by its orientation tag, as OpenCV does
        return (decode_cv2(path, index) if deep_color else expanded(image)), 1


def _tifffile_reads(page: tifffile.TiffPage) -> bool:
    """Whether tifffile decodes this page with the codecs installed, into plain grey or RGB samples."""
    plain = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
    decodable = page.compression in tifffile.TIFF.DECOMPRESSORS and page.predictor in tifffile.TIFF.UNPREDICTORS
    return plain and decodable and page.dtype is not None and page.dtype.kind in "uif" and page.bitspersample >= 8


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Drop the records of one logger: what matters of them is raised as one InputError."""

    def drop(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)

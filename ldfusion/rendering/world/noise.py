"""Texture noise: periodic tables that are looked up at any metric position, faded out where a pixel is wider than the
grain.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]
"""Values of pixels; float32 throughout."""

SIDE = 512
"""Texels per side of a table, a power of two so that wrapping is a bit mask."""

GRAIN, CLUMPS, CRACKS, CLOUDS = 0.2, 0.85, 1.35, 1.7
"""Slopes of the tables in use; the larger, the smoother."""


@cache
def table(slope: float) -> Map:
    """(512 * 512,) periodic noise of zero mean and unit deviation with the amplitude spectrum 1 / frequency**slope."""
    rng = np.random.default_rng(int(1000 * slope) + 77)
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = 1.0
    spectrum /= frequency**slope
    spectrum[0, 0] = 0.0
    values = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return (values / values.std()).astype(np.float32).ravel()


def _wrap(index: NDArray[np.floating]) -> NDArray[np.int32]:
    return index.astype(np.int32) & (SIDE - 1)


def grain(u: Map, v: Map, texel: float, slope: float = GRAIN) -> Map:
    """Noise by the nearest texel; for grain that is not larger than a pixel. `texel` is its size in the unit of u and
    v.
    """
    index = _wrap(np.floor(v * (1 / texel))) * SIDE + _wrap(np.floor(u * (1 / texel)))
    return table(slope).take(index)


def smooth(u: Map, v: Map, texel: float, slope: float = CLOUDS) -> Map:
    """Noise interpolated bilinearly between texels; for stains, clouds and anything that is larger than a pixel."""
    x, y = u * (1 / texel), v * (1 / texel)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    left, top = _wrap(x0), _wrap(y0) * SIDE
    right, bottom = (left + 1) & (SIDE - 1), (top + SIDE) & (SIDE * SIDE - 1)
    values = table(slope)
    upper = values.take(top + left) * (1 - fx) + values.take(top + right) * fx
    lower = values.take(bottom + left) * (1 - fx) + values.take(bottom + right) * fx
    return upper + (lower - upper) * fy


def fade(footprint: Map, size: float) -> Map:
    """1 where pixels of `footprint` metres resolve structures of `size` metres, towards 0 where they do not."""
    return np.minimum(1.0, np.float32(size) / np.maximum(footprint, 1e-6)).astype(np.float32)


def cell(i: Map, j: Map, seed: int) -> Map:
    """A value in [0, 1) for every integer cell (i, j): the same for all pixels of the same window, slab or brick."""
    mixed = (i.astype(np.int64) * 73856093) ^ (j.astype(np.int64) * 19349663) ^ (seed * 83492791)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed >> 8) & 0xFFFF).astype(np.float32) * np.float32(1 / 65536)

"""What the two cameras make of the radiance: exposure, glare, blur, noise, and the display range."""

from __future__ import annotations

import numpy as np

from ldfusion.rendering.world.conditions import Conditions
from ldfusion.rendering.world.noise import Map


def blur(picture: Map, sigma: float) -> Map:
    """Gaussian blur of (C, H, W) with replicated borders, separable; sigma in pixels."""
    if sigma < 0.2:
        return picture
    radius = max(1, int(np.ceil(2.5 * sigma)))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        pad = [(0, 0)] * 3
        pad[axis] = (radius, radius)
        padded = np.pad(picture, pad, mode="edge")
        length = picture.shape[axis]
        parts = (
            padded[:, k : k + length] if axis == 1 else padded[:, :, k : k + length] for k in range(2 * radius + 1)
        )
        picture = sum(np.float32(weight) * part for weight, part in zip(weights, parts, strict=True))  # type: ignore[assignment]
    return picture


def _glare(picture: Map, conditions: Conditions) -> Map:
    """Light that bright lamps scatter in the lens: the excess over white, blurred widely at a quarter of the size."""
    excess = np.clip(picture - 1.2, 0, 6)
    if not excess.any():
        return picture
    _, height, width = picture.shape
    step = 4
    small: Map = excess[:, : height // step * step, : width // step * step]
    small = small.reshape(3, height // step, step, width // step, step).mean((2, 4))
    wide = 0.65 * blur(small, 1.3) + 0.35 * blur(small, max(2.5, 0.02 * width / step * 4))
    rows = np.minimum(np.arange(height) / step - 0.5, small.shape[1] - 1).clip(0)
    columns = np.minimum(np.arange(width) / step - 0.5, small.shape[2] - 1).clip(0)
    r0, c0 = rows.astype(int), columns.astype(int)
    r1, c1 = np.minimum(r0 + 1, small.shape[1] - 1), np.minimum(c0 + 1, small.shape[2] - 1)
    fr, fc = (rows - r0).astype(np.float32)[:, None], (columns - c0).astype(np.float32)
    tall = wide[:, r0] + (wide[:, r1] - wide[:, r0]) * fr
    return picture + 0.35 * (tall[:, :, c0] + (tall[:, :, c1] - tall[:, :, c0]) * fc)


def expose(picture: Map, conditions: Conditions, rng: np.random.Generator) -> Map:
    """(3, H, W) radiance -> display values in [0, 1] of a camera with automatic exposure, a filmic curve, vignetting,
    blur and noise.

    The curve is Narkowicz' rational fit of the ACES tone scale (2016).
    """
    luma = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    mean = float(np.exp(np.log(luma[::2, ::2] + 2e-3).mean()))
    gain = conditions.key / max(mean, 0.004)
    picture = np.minimum(picture * np.float32(min(gain, 9.0)), 12)
    picture = _glare(picture, conditions)
    _, height, width = picture.shape
    falloff = 1 - 0.22 * (np.linspace(-1, 1, height)[:, None] ** 2 + np.linspace(-1, 1, width)[None, :] ** 2) / 2
    picture = blur(picture, 0.42 * max(1.0, height / 480)) * falloff.astype(np.float32)
    x = 0.75 * picture
    display = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1) ** np.float32(1 / 2.2)
    chroma = rng.uniform(0.985, 1.015, 3).astype(np.float32)[:, None, None]
    noise = rng.standard_normal(display.shape, dtype=np.float32)
    # Shot noise grows with the square root of the light; in display values it is strongest in the darker tones.
    display = display * chroma + conditions.noise * (1.25 - 0.75 * display) * noise
    return np.clip(display, 0, 1)


def develop(radiance: Map, conditions: Conditions, rng: np.random.Generator) -> Map:
    """(1, H, W) thermal radiance -> display values in [0, 1] of an uncooled camera.

    Optics blur, temporal noise, fixed-pattern column stripes and a linear gain control from the 0.5th to the 99.7th
    percentile, but from no more than 12 K below the median and to 5 to 32 K above it.
    """
    per_kelvin = np.float32(4 / 293.15)
    picture = blur(radiance, float(rng.uniform(0.55, 0.95)) * max(1.0, radiance.shape[1] / 480))
    _, height, width = picture.shape
    netd = float(rng.uniform(0.05, 0.11))
    noise = netd * rng.standard_normal((height, width), dtype=np.float32)
    noise += float(rng.uniform(0.03, 0.10)) * rng.standard_normal(width, dtype=np.float32)
    noise += 0.03 * rng.standard_normal((height, 1), dtype=np.float32)
    narcissus = 0.5 * (np.linspace(-1, 1, height)[:, None] ** 2 + np.linspace(-1, 1, width)[None, :] ** 2).astype(
        np.float32
    )
    picture = picture + per_kelvin * (noise - narcissus * float(rng.uniform(0.2, 0.7)))
    low, middle, high = np.percentile(picture[0, ::2, ::2], [0.5, 50, 99.7])
    # A cold sky must not push everything else towards white: below the middle the display spans a few kelvin only.
    below = rng.uniform(2, 3.5) if conditions.indoors else rng.uniform(4, 12)
    low = max(low, middle - float(below) * per_kelvin)
    above = rng.uniform(5, 9) if conditions.indoors else rng.uniform(7, 14)
    high = max(min(high, middle + 32 * per_kelvin), middle + float(above) * per_kelvin)
    return np.clip((picture - low) / (1.05 * (high - low)), 0, 1).astype(np.float32)

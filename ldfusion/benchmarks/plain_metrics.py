"""The six usual metrics read off their definitions, one image at a time, in NumPy and SciPy.

What the batched program is checked against and timed beside: windows are two-dimensional, nothing is shared or
skipped. A, B are the sources and F the fused image, float64 grey values 0..255 of whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import convolve2d

Array = np.ndarray[Any, np.dtype[np.float64]]


def plain_metrics(fused: Array, visible: Array, infrared: Array) -> dict[str, float]:
    """EN, MI, VIF, SF, SD and Qabf of (H, W) images."""
    return {
        "EN": entropy(np.histogram(fused, bins=256, range=(0, 256))[0]),
        "MI": shared(visible, fused) + shared(infrared, fused),
        "VIF": vifp(visible, fused) + vifp(infrared, fused),
        "SF": float(np.sqrt(np.mean(np.diff(fused, axis=0) ** 2) + np.mean(np.diff(fused, axis=1) ** 2))),
        "SD": float(np.sqrt(np.mean((fused - fused.mean()) ** 2))),
        "Qabf": qabf(fused, visible, infrared),
    }


def entropy(counts: Any) -> float:
    """-sum p log2 p over the bins of a histogram [bit]."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def shared(source: Array, fused: Array) -> float:
    """Mutual information of two images, 256 x 256 bins [bit]."""
    joint = np.histogram2d(source.ravel(), fused.ravel(), bins=256, range=[[0, 256], [0, 256]])[0]
    return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint.ravel())


def vifp(source: Array, fused: Array) -> float:
    """Pixel-domain visual information fidelity at four scales (Sheikh and Bovik, 2006)."""
    passed = available = 0.0
    for scale, n in enumerate((17, 9, 5, 3)):
        x = np.arange(n) - n // 2
        window = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * (n / 5) ** 2))
        window /= window.sum()
        if scale:
            source, fused = (convolve2d(image, window, mode="valid")[::2, ::2] for image in (source, fused))
        mean_s, mean_f, square_s, square_f, mixed = (
            convolve2d(image, window, mode="valid") for image in (source, fused, source**2, fused**2, source * fused)
        )
        var_s, var_f = np.maximum(square_s - mean_s**2, 0), np.maximum(square_f - mean_f**2, 0)
        covariance = mixed - mean_s * mean_f
        gain = covariance / (var_s + 1e-10)
        noise = var_f - gain * covariance
        flat = var_s < 1e-10
        gain[flat], noise[flat], var_s[flat] = 0, var_f[flat], 0
        lost = var_f < 1e-10
        gain[lost], noise[lost] = 0, 0
        turned = gain < 0
        noise[turned], gain[turned] = var_f[turned], 0
        noise = np.maximum(noise, 1e-10)
        passed += float(np.log10(1 + gain**2 * var_s / (noise + 2)).sum())
        available += float(np.log10(1 + var_s / 2).sum())
    return passed / available


def qabf(fused: Array, visible: Array, infrared: Array) -> float:
    """Edge strength and orientation kept (Xydeas and Petrovic, 2000)."""
    kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])

    def edges(image: Array) -> tuple[Array, Array]:
        right, up = convolve2d(image, kernel, mode="same"), convolve2d(image, -kernel.T, mode="same")
        angle = np.full(image.shape, np.pi / 2)
        np.divide(up, right, out=angle, where=right != 0)
        return np.sqrt(right**2 + up**2), np.where(right != 0, np.arctan(angle), np.pi / 2)

    strength_f, angle_f = edges(fused)
    kept = weight = 0.0
    for source in (visible, infrared):
        strength, angle = edges(source)
        ratio = strength_f.copy()  # what the reference program takes where both are equal
        differ = strength != strength_f
        ratio[differ] = np.minimum(strength, strength_f)[differ] / np.maximum(strength, strength_f)[differ]
        turn = 1 - np.abs(angle - angle_f) / (np.pi / 2)
        quality = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (turn - 0.8)))
        kept += float((quality * strength).sum())
        weight += float(strength.sum())
    return kept / weight

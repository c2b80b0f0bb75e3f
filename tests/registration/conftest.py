from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ldfusion.registration.misalign import MisalignmentRange, cut_pair

Scene = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def sample_masks(real_pairs: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The sample masks of the registration papers, infrared and visible, (1, 1, 240, 320), human = 0."""
    files = [real_pairs / "firefighter" / name / "frame0.jpg" for name in ("infrared_mask", "visible_mask")]
    if not all(file.is_file() for file in files):
        pytest.skip("LDFUSION_DATA names no data folder with the papers' sample masks (firefighter/)")
    moving, fixed = (torch.from_numpy(cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) / 255.0).float() for f in files)
    return moving[None, None], fixed[None, None]


@pytest.fixture
def two_sensors() -> Callable[[int, int, int], Scene]:
    """Draws scenes as both sensors see them."""

    def draw(height: int, width: int, seed: int) -> Scene:
        """One scene of polygons, each with a grey value of its own in either sensor: (1, 3, H, W) and (1, 1, H, W)."""
        rng = np.random.default_rng(seed)
        images = np.zeros((2, height, width), np.float32) + 0.5
        for _ in range(60):
            centre = rng.uniform(0, 1, 2) * (width, height)
            points = (centre + rng.uniform(-0.13, 0.13, (rng.integers(3, 6), 2)) * width).astype(np.int32)
            for image in images:
                cv2.fillConvexPoly(image, cv2.convexHull(points), float(rng.uniform(0.15, 0.95)), lineType=cv2.LINE_AA)
        images += rng.normal(0, 0.01, images.shape).astype(np.float32)
        visible, infrared = torch.from_numpy(images.clip(0, 1))[:, None, None]
        return visible.expand(1, 3, -1, -1).contiguous(), infrared

    return draw


@pytest.fixture
def misaligned(
    two_sensors: Callable[[int, int, int], Scene],
) -> Callable[[int], tuple[torch.Tensor, torch.Tensor, np.ndarray]]:
    """Cuts windows of 240x320 out of a scene, misaligned within the range of the benchmark, with the truth."""

    def cut(seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        visible, infrared = two_sensors(380, 500, seed)
        matrix = MisalignmentRange().draw(np.random.default_rng(seed), (240, 320))
        fixed, moving, _ = cut_pair(visible, infrared, torch.from_numpy(matrix)[None], (240, 320))
        return fixed, moving, matrix

    return cut

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
import torch


@pytest.fixture
def sample_masks() -> tuple[torch.Tensor, torch.Tensor]:
    """The sample masks of the registration papers, infrared and visible, (1, 1, 240, 320), human = 0."""
    root = os.environ.get("LDFUSION_DATA", "")
    files = [Path(root) / "firefighter" / name / "frame0.jpg" for name in ("infrared_mask", "visible_mask")]
    if not root or not all(file.is_file() for file in files):
        pytest.skip("LDFUSION_DATA names no data folder with the papers' sample masks (firefighter/)")
    moving, fixed = (torch.from_numpy(cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) / 255.0).float() for f in files)
    return moving[None, None], fixed[None, None]

"""The networks that come with the package, by the names the command knows them by."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ldfusion.evaluation.registration import grid_error
from ldfusion.registration.methods import load_registrar
from ldfusion.registration.misalign import MisalignmentRange, cut_pair


def two_sensors(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
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


@pytest.mark.parametrize(("method", "limit"), [("affine", 5.0), ("voxelmorph", 2.0)])
def test_the_embedded_network_registers_a_misaligned_pair(method: str, limit: float) -> None:
    visible, infrared = two_sensors(380, 500, 1)
    truth = MisalignmentRange().draw(np.random.default_rng(1), (240, 320))
    fixed, moving, _ = cut_pair(visible, infrared, torch.from_numpy(truth)[None], (240, 320))
    found = load_registrar(method)(fixed, moving)
    before = grid_error(load_registrar("identity")(fixed, moving), truth, (240, 320), (240, 320))
    after = grid_error(found, truth, (240, 320), (240, 320))
    assert before > 15 and after < limit and found.trusted
    assert (found.flow is not None) == (method == "voxelmorph")

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ldfusion.registration.masks import MaskSource
from ldfusion.registration.misalign import MisalignmentRange
from ldfusion.registration.warp import corners, flow_points, resize_matrix, sampling_points, transform_points
from ldfusion.registration.working import WorkingPair, linear_part, similarity, start_matrix


def scene(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Blobs of several sizes (1, 1, H, W) in [0, 1]; the same picture at any size."""
    rng = np.random.default_rng(seed)
    small = cv2.resize(cv2.GaussianBlur(rng.random((60, 80)).astype(np.float32), (0, 0), 1.5), (width, height))
    return torch.from_numpy((small - small.min()) / (small.max() - small.min()))[None, None]


def pair_of(visible: torch.Tensor, infrared: torch.Tensor, kinds: tuple[str, ...] = ("grey",)) -> WorkingPair:
    return WorkingPair(visible.expand(1, 3, -1, -1), infrared, kinds, (120, 160))


def test_starts() -> None:
    assert np.array_equal(start_matrix((100, 200), (300, 300), "resize"), resize_matrix((100, 200), (300, 300)))
    cover = start_matrix((100, 200), (300, 300), "cover")
    assert cover[0, 0] == cover[1, 1] == 3
    assert transform_points(cover, np.array([[99.5, 49.5]]))[0] == pytest.approx([149.5, 149.5])
    assert transform_points(cover, np.array([[99.5, -0.5]]))[0] == pytest.approx([149.5, -0.5])
    assert np.allclose(start_matrix((60, 80), (120, 160), "cover"), resize_matrix((60, 80), (120, 160)))


def test_the_same_picture_at_two_sizes_is_registered_by_the_start() -> None:
    pair = pair_of(scene(240, 320), scene(480, 640))
    shown = pair.moving(pair.start())
    assert shown.shape == pair.fixed.shape == (1, 1, 120, 160)
    assert (shown - pair.fixed).abs().max() < 0.03
    assert pair.covered(pair.start())[..., 2:-2, 2:-2].all()
    score, trusted = similarity(pair, pair.start())
    assert score > 0.97 and trusted


def test_composing_undoes_a_known_misalignment() -> None:
    """The network's perfect answer on a misaligned pair gives the matrix that was drawn."""
    true = MisalignmentRange().draw(np.random.default_rng(0), (240, 320))
    fixed = scene(240, 320)
    moving = torch.from_numpy(
        cv2.warpPerspective(fixed[0, 0].numpy(), true, (320, 240), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    )[None, None]
    pair = pair_of(fixed, moving)
    down = resize_matrix((240, 320), (120, 160))
    answer = np.linalg.inv(down @ true @ np.linalg.inv(down))
    found = pair.compose(pair.start(), answer)
    assert transform_points(found, corners((240, 320))) == pytest.approx(
        transform_points(true, corners((240, 320))), abs=1e-6
    )
    good, trusted = similarity(pair, found)
    bad, _ = similarity(pair, pair.start())
    assert good > 0.9 > 0.5 > bad and trusted
    # worse than at the start, or far from anything plausible: not to be believed
    assert not similarity(pair, np.linalg.inv(true))[1]
    assert not similarity(pair, np.diag([9.0, 9.0, 1.0]) @ pair.start())[1]


def test_flow_points_and_their_linear_part() -> None:
    pair = pair_of(scene(240, 320), scene(60, 80))
    flow = torch.zeros(1, 2, 120, 160)
    flow[:, 0], flow[:, 1] = 4.0, -2.0  # working pixels
    points = pair.flow_points(pair.start(), flow)
    assert points.shape == (240, 320, 2)
    # a visible pixel is half a working pixel, and that half an infrared one
    assert points[100, 200].tolist() == pytest.approx([(200 + 0.5) / 4 - 0.5 + 2, (100 + 0.5) / 4 - 0.5 - 1], abs=1e-4)
    matrix = linear_part(points)
    assert matrix == pytest.approx(np.array([[4, 0, 1.5 - 8], [0, 4, 1.5 + 4], [0, 0, 1]]), abs=1e-3)
    assert torch.allclose(sampling_points(matrix, (240, 320)), points, atol=1e-3)
    still = flow_points(torch.zeros(2, 4, 5))
    assert np.allclose(linear_part(still), np.eye(3))


def test_nobody_is_outside_of_the_infrared_image() -> None:
    infrared = torch.full((1, 1, 120, 160), 0.9)  # warm up to its border
    infrared[..., 60:100] = 0.1
    source = MaskSource(lambda image: image[:, :1], threshold=0.5)
    pair = WorkingPair(scene(120, 160).expand(1, 3, -1, -1), infrared, ("masks", "masks-published"), (120, 160), source)
    aside = np.array([[1.0, 0, 50], [0, 1, 0], [0, 0, 1]])
    shown = pair.moving(aside)
    assert shown[0, 0, :, :49].max() == 0 and shown[0, 0, :, 52:108].min() == 1
    assert shown[0, 1, :, :49].min() == 1
    assert pair.warped(aside)[0, 0, :, :49].min() == pytest.approx(0.9)  # an image repeats its border instead

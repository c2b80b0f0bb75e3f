"""Correspondences of random descriptors, whose right matches are known."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from ldfusion.registration.correspond import Described, cell_centres, local_matches, local_similarity, mutual_matches

H, W = 16, 20


def described(field: torch.Tensor, kappa: float = 30.0) -> Described:
    return Described(
        F.normalize(field, dim=0), torch.full(field.shape[1:], kappa), torch.ones(field.shape[1:], dtype=torch.bool)
    )


def field() -> torch.Tensor:
    return torch.randn(32, H + 8, W + 8, generator=torch.Generator().manual_seed(0))


def test_cell_centres_lie_in_the_middle_of_their_pixels() -> None:
    centres = cell_centres(2, 3)
    assert centres.tolist() == [[1.5, 1.5], [5.5, 1.5], [9.5, 1.5], [1.5, 5.5], [5.5, 5.5], [9.5, 5.5]]


def test_global_matches_find_a_shift() -> None:
    visible, infrared = described(field()[:, 4:-4, 4:-4]), described(field()[:, 2:-6, 5:-3])
    matches = mutual_matches(visible, infrared)
    # infrared cell (r, c) shows visible cell (r - 2, c + 1)
    assert 40 < len(matches) <= 80  # every second row and column
    right = (matches.fixed - matches.moving == (4, -8)).all(1)
    assert right.mean() > 0.85 and matches.weight[right].min() > 0.5


def test_global_matches_pass_over_invalid_cells() -> None:
    visible = described(field()[:, 4:-4, 4:-4])
    half = Described(visible.descriptors, visible.kappa, visible.valid.clone())
    half.valid[:, W // 2 :] = False
    assert mutual_matches(visible, half).moving[:, 0].max() < W // 2 * 4
    assert mutual_matches(half, visible).fixed[:, 0].max() < W // 2 * 4


def test_local_matches_find_a_shift_within_the_window_only() -> None:
    visible, infrared = described(field()[:, 4:-4, 4:-4]), described(field()[:, 2:-6, 5:-3])
    found = local_matches(visible, infrared, 3)
    right = np.abs(found.fixed - found.moving - (4, -8)).max(1) < 1
    assert right.mean() > 0.8 and found.weight[right].mean() > 0.9
    beyond = local_matches(visible, infrared, 1)
    assert len(beyond) < 0.3 * len(found)


def test_local_matches_read_fractions_of_a_cell() -> None:
    smooth = F.avg_pool2d(torch.randn(1, 32, 120, 120, generator=torch.Generator().manual_seed(1)), 9, 1)[0]
    visible, infrared = described(smooth[:, ::4, ::4]), described(smooth[:, 2::4, 1::4])
    size = min(visible.kappa.shape[0], infrared.kappa.shape[0])
    visible, infrared = (described(d.descriptors[:, :size, :size]) for d in (visible, infrared))
    found = local_matches(visible, infrared, 3)
    offset = np.average(found.moving - found.fixed, axis=0, weights=found.weight)
    assert -1.5 < offset[0] < -0.2 and -2.5 < offset[1] < -1.5  # a quarter and half a cell of 4 pixels


def test_invalid_neighbours_count_as_unlike() -> None:
    visible = described(field()[:, 4:-4, 4:-4])
    similarity = local_similarity(visible, visible, 2)
    assert similarity.shape == (25, H, W)
    assert torch.allclose(similarity[12], torch.ones(H, W), atol=1e-5)
    assert (similarity[:5, 0] == -1).all() and (similarity[:5, 2:, 2:-2] > -1).all()

"""Pictures of a registration."""

from __future__ import annotations

import numpy as np
import torch

from ldfusion.registration.pictures import difference, edge_overlay, edge_panel, five_panels


def test_equal_images_differ_nowhere() -> None:
    grey = torch.rand(1, 1, 40, 50)
    same = difference(grey.expand(-1, 3, -1, -1), grey)
    assert same.shape == (40, 50, 3)
    assert np.ptp(same.astype(int), axis=(0, 1)).max() <= 4  # one step of the colour map, by rounding
    hot = difference(torch.zeros(1, 3, 40, 50), torch.ones(1, 1, 40, 50))
    assert hot[0, 0, 0] > 200 and hot[0, 0, 2] < 100  # yellow
    mask = torch.zeros(1, 1, 40, 50, dtype=torch.bool)
    assert not difference(torch.zeros(1, 3, 40, 50), torch.ones(1, 1, 40, 50), mask).any()


def test_edges_that_coincide_are_white() -> None:
    image = torch.zeros(1, 1, 60, 80)
    image[..., 20:40, 20:60] = 1
    together = edge_overlay(image.expand(-1, 3, -1, -1), image)
    apart = edge_overlay(image.expand(-1, 3, -1, -1), image.roll((9, 9), (2, 3)))
    white = (together == 1).all(0).sum()
    assert white > 80 and (apart == 1).all(0).sum() < white / 2
    orange = (apart - torch.tensor([1.0, 0.35, 0.1])[:, None, None]).abs().sum(0) < 0.01
    assert orange.sum() > 20
    nothing = torch.zeros(1, 1, 60, 80, dtype=torch.bool)
    assert not (edge_overlay(image.expand(-1, 3, -1, -1), image, nothing)[0] > 0.9).any()


def test_panels_hold_every_picture() -> None:
    visible, infrared = torch.rand(1, 3, 60, 80), torch.rand(1, 1, 50, 90)
    warped, mask = torch.rand(1, 1, 60, 80), torch.ones(1, 1, 60, 80, dtype=torch.bool)
    panel = five_panels(visible, infrared, warped, warped, mask, "a pair")
    assert panel.width > 5 * 160 and np.asarray(panel).std() > 10
    assert edge_panel(visible, warped, warped, mask).width < panel.width

"""The matching network and what it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.registration.descriptors import (
    MatchingNetwork,
    edge_histograms,
    equalise,
    local_contrast,
)


def test_local_contrast_knows_neither_brightness_nor_gain() -> None:
    image = torch.rand(1, 1, 64, 64)
    contrast = local_contrast(image)
    assert contrast.mean().abs() < 0.1 and 0.8 < contrast.std() < 1.2
    assert torch.allclose(local_contrast(0.3 * image + 0.5), contrast, atol=0.05)
    assert local_contrast(torch.full((1, 1, 64, 64), 0.7)).abs().max() < 0.01


def test_edges_have_a_direction_but_no_sign() -> None:
    upright = torch.zeros(1, 1, 64, 64)
    upright[..., 32:] = 1
    bins = edge_histograms(upright)
    assert bins.shape == (1, 4, 16, 16)
    assert bins[0, :, 8, 8].argmax() == 0
    assert edge_histograms(upright.transpose(2, 3))[0, :, 8, 8].argmax() == 2
    assert torch.allclose(edge_histograms(1 - upright), bins, atol=1e-5)
    assert edge_histograms(torch.full((1, 1, 64, 64), 0.5)).max() < 1e-3


def test_patterns_are_as_long_as_they_say() -> None:
    shares, length = equalise(edge_histograms(torch.rand(1, 1, 96, 96)))
    patch = shares[0, :, 8:17:2, 8:17:2]  # around cell (12, 12)
    assert length[0, 0, 12, 12] == pytest.approx(patch.square().sum().sqrt().item(), rel=1e-4)


def test_descriptors_are_unit_vectors_and_start_equal_for_both_modalities() -> None:
    torch.manual_seed(0)
    network = MatchingNetwork(hidden=8, dim=16).eval()
    grey = torch.rand(2, 1, 48, 64)
    (dv, kv), (di, ki) = network(grey.expand(-1, 3, -1, -1), 1 - grey)
    assert dv.shape == di.shape == (2, 16, 12, 16) and kv.shape == ki.shape == (2, 1, 12, 16)
    assert torch.allclose(dv.norm(dim=1), torch.ones(2, 12, 16), atol=1e-5)
    assert torch.allclose(kv, torch.full_like(kv, 20.0), atol=1e-3)
    assert torch.allclose(dv, di, atol=1e-3)  # neither colour nor sign matter


def test_content_that_moves_by_cells_moves_the_descriptors() -> None:
    torch.manual_seed(0)
    network = MatchingNetwork(hidden=8, dim=16).eval()
    wide = torch.rand(1, 1, 64, 656)
    first = network.describe(wide[..., :640], "infrared")[0]
    second = network.describe(wide[..., 16:], "infrared")[0]
    # far enough from the borders, whose neighbourhoods are cut off
    assert torch.allclose(first[..., 70:90], second[..., 66:86], atol=1e-3)


def test_other_shapes_are_refused() -> None:
    network = MatchingNetwork(hidden=8, dim=16)
    for image, modality in ((torch.rand(1, 3, 40, 48), "visible"), (torch.rand(1, 3, 48, 48), "infrared")):
        with pytest.raises(ValueError, match="multiples of 16"):
            network.describe(image, modality)


def test_round_trip_through_safetensors(tmp_path: Path) -> None:
    network = MatchingNetwork(hidden=8, dim=16).eval()
    network.save_pretrained(tmp_path)
    again = MatchingNetwork.from_pretrained(tmp_path, use_safetensors=True).eval()
    image = torch.rand(1, 1, 48, 48)
    assert torch.equal(network.describe(image, "infrared")[0], again.describe(image, "infrared")[0])

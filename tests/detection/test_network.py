from __future__ import annotations

import pytest
import torch

from ldfusion.detection.network import CELL, CentreDetector
from ldfusion.training.stages.detector import start_trunk
from ldfusion.weights import component_folder

TINY = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 64}


def test_shapes_and_a_calm_start() -> None:
    torch.manual_seed(0)
    network = CentreDetector(**TINY).eval()
    heat, sides = network(torch.rand(2, 3, 64, 96))
    assert heat.shape == (2, 3, 16, 24) and sides.shape == (2, 4, 16, 24)
    assert heat.sigmoid().mean() < 0.1
    assert sides.min() > 0 and 4 < sides.median() < 64


def test_bad_input_and_sizes() -> None:
    network = CentreDetector(**TINY).eval()
    with pytest.raises(ValueError, match="multiples of 32"):
        network(torch.rand(1, 3, 60, 96))
    with pytest.raises(ValueError, match="3 channels"):
        network(torch.rand(1, 1, 64, 96))
    with pytest.raises(ValueError, match="four stages"):
        CentreDetector(widths=(8, 8), blocks=(1, 1))


def test_the_trunk_of_the_depth_student_fits() -> None:
    network = CentreDetector()
    before = network.stages[2][0].first[0].weight.clone()
    assert start_trunk(network, component_folder("depth_visible")) > 120
    assert not torch.equal(before, network.stages[2][0].first[0].weight)
    assert sum(p.numel() for p in network.parameters()) < 1.5e6
    assert CELL == 4

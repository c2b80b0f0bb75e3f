from __future__ import annotations

import pytest
import torch

from depth.twin import TwinDepth
from ldfusion.segmentation.network import SegmentationNetwork


@pytest.fixture(scope="session")
def segmenter() -> SegmentationNetwork:
    """A tiny untrained network of the classes background, car, person and bike."""
    torch.manual_seed(0)
    return SegmentationNetwork("objects", "resnet18", {"channels": [8, 8, 16, 16]}, width=16, auxiliary=8).eval()


@pytest.fixture(scope="session")
def twin(weights: str) -> TwinDepth:
    """The estimators of the tiny pipeline."""
    from ldfusion.pipeline import LDFusionPipeline

    pipe: LDFusionPipeline = LDFusionPipeline.from_pretrained(weights)
    return pipe.twin

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.detection.load import load_detector
from ldfusion.detection.pretrained import HubDetector, TorchvisionDetector
from ldfusion.errors import InputError


def test_a_torchvision_model_without_weights() -> None:
    torch.manual_seed(0)
    detector = TorchvisionDetector("ssdlite320_mobilenet_v3_large", weights=None)
    assert detector.map[1] == 1 and detector.map[3] == 0 and detector.map[8] == 0  # COCO: person, car, truck
    (found,) = detector(torch.rand(1, 1, 60, 80))
    assert found.boxes.shape == (len(found.scores), 4) and len(found.scores) <= 100
    assert set(found.labels.tolist()) <= {0, 1, 2}


def test_a_transformers_model_from_a_folder(tmp_path: Path) -> None:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[32, 32],
        patch_size=16, num_detection_tokens=7, id2label={0: "N/A", 1: "person", 2: "bicycle", 3: "car", 4: "dog"},
    )  # fmt: skip
    torch.manual_seed(0)
    YolosForObjectDetection(config).save_pretrained(tmp_path / "yolos")
    YolosImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "yolos")
    detector = load_detector(f"hub:{tmp_path / 'yolos'}")
    assert isinstance(detector, HubDetector) and detector.map == {1: 1, 2: 2, 3: 0}
    (found,) = detector(torch.rand(1, 3, 40, 64))
    assert set(found.labels.tolist()) <= {0, 1, 2}
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_what_is_not_there() -> None:
    with pytest.raises(InputError, match="no detection model 'fasterrcnn'"):
        load_detector("torchvision:fasterrcnn")
    with pytest.raises(InputError, match="neither a folder nor a model"):
        load_detector("hub:/nowhere/at/all")

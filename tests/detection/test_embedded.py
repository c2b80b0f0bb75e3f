from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion import weights
from ldfusion.data.boxes import BOX_CLASSES, read_boxes, to_array
from ldfusion.detection.base import OwnDetector
from ldfusion.detection.load import load_detector
from ldfusion.detection.preview import draw_boxes


def test_it_is_small_and_reads_any_size() -> None:
    detector = load_detector()
    assert isinstance(detector, OwnDetector) and tuple(detector.network.config["classes"]) == BOX_CLASSES
    assert sum(file.stat().st_size for file in (weights.FOLDER / "detector").iterdir()) < 3e6
    for shape in ((1, 3, 61, 47), (2, 1, 100, 333)):
        found = detector(torch.rand(*shape, generator=torch.Generator().manual_seed(0)))
        assert len(found) == shape[0]
        for part in found:
            assert part.boxes.shape == (len(part.scores), 4) and (part.boxes[:, 2:] >= part.boxes[:, :2]).all()
            assert (part.boxes >= 0).all() and (part.boxes[:, 2] <= shape[3] + 1e-3).all()


def test_boxes_are_drawn() -> None:
    image = torch.zeros(3, 40, 60)
    found = load_detector()(torch.rand(1, 3, 40, 60))[0]
    assert torch.equal(draw_boxes(image, found.above(2.0)), image)
    one = type(found)(torch.tensor([[10.0, 8.0, 30.0, 30.0]]), torch.tensor([0.9]), torch.tensor([1]))
    drawn = draw_boxes(image, one)
    assert drawn.shape == image.shape and drawn[:, 20, 10].max() > 0.5 and drawn[:, 35, 50].max() == 0


def test_objects_of_real_pairs(real_pairs: Path) -> None:
    """On the first validation pairs, mean fused: half of what it is sure of is there."""
    pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")
    from ldfusion.benchmarks.base import validation_pairs
    from ldfusion.evaluation.tasks.detection import average_precision, truth_of
    from ldfusion.fusion.classical import mean_fusion
    from ldfusion.loading import load_pair

    boxes, detector = read_boxes(real_pairs / "pseudo_boxes.jsonl"), load_detector()
    found, truth = [], []
    for files in validation_pairs(real_pairs)[::5]:
        pair = load_pair(files.visible, files.infrared, files.name)
        found.append(detector(mean_fusion(pair.visible, pair.infrared))[0])
        truth.append(truth_of(torch.from_numpy(to_array(boxes[files.name]))))
    scores = average_precision(found, truth)
    assert scores["AP50"] is not None and scores["AP50"] > 0.3

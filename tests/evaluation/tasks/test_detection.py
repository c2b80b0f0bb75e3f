from __future__ import annotations

import pytest
import torch

from ldfusion.data.boxes import LabelBox
from ldfusion.detection.base import Detections
from ldfusion.evaluation.tasks.detection import Truth, average_precision, clip_truth

pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")

NONE = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
CAR = Truth(torch.tensor([[10.0, 10.0, 110.0, 110.0]]), torch.tensor([0]))
NO_TRUTH = Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


def found(x2: float, label: int = 0, score: float = 0.9) -> Detections:
    return Detections(torch.tensor([[10.0, 10.0, x2, 110.0]]), torch.tensor([score]), torch.tensor([label]))


def test_overlap_decides_which_thresholds_are_passed() -> None:
    scores = average_precision([found(90)], [CAR])  # overlap 0.8
    assert scores["AP50"] == pytest.approx(1) and scores["AP70"] == pytest.approx(1)
    assert scores["AP90"] == 0
    assert scores["AP"] == pytest.approx(0.7)  # 0.5, 0.55 .. 0.8 of ten
    assert scores["AP car"] == pytest.approx(0.7)
    assert scores["AP person"] is None and scores["AP bike"] is None


def test_a_surer_false_alarm_halves_the_precision() -> None:
    both = Detections(
        torch.tensor([[200.0, 10.0, 300.0, 110.0], [10.0, 10.0, 110.0, 110.0]]),
        torch.tensor([0.9, 0.8]),
        torch.tensor([0, 0]),
    )
    assert average_precision([both], [CAR])["AP50"] == pytest.approx(0.5)
    assert average_precision([found(110, label=1)], [CAR])["AP50"] == 0


def test_no_detection_scores_nothing_and_no_object_is_no_score() -> None:
    assert average_precision([NONE], [CAR])["AP"] == 0
    assert set(average_precision([found(90)], [NO_TRUTH]).values()) == {None}
    mixed = average_precision([found(110), NONE], [CAR, NO_TRUTH])
    assert mixed["AP"] == pytest.approx(1)


def test_boxes_are_cut_at_the_borders_and_those_outside_set_apart() -> None:
    boxes = [LabelBox(0, (-5.0, 3.0, 20.0, 60.0)), LabelBox(1, (70.0, 0.0, 90.0, 10.0))]
    inside, outside = clip_truth(boxes, 64, 48)
    assert inside == [LabelBox(0, (0.0, 3.0, 20.0, 48.0))] and outside == boxes[1:]

from __future__ import annotations

import math

import pytest
import torch

from ldfusion.data.label_sets import label_set
from ldfusion.segmentation.metrics import SegmentationScore, mean_iou


def test_iou_by_hand_over_two_images():
    score = SegmentationScore(label_set("objects"))
    score.add(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 255]]))
    score.add(torch.tensor([[2, 0]]), torch.tensor([[2, 2]]))
    # background: 1 hit, predicted 3 (two wrong); car: 1 hit, truth 2; person: 1 hit, truth 2; bike: nowhere
    assert score.iou() == {"background": pytest.approx(1 / 3), "car": 0.5, "person": 0.5, "bike": None}
    assert score.counts().sum() == 5
    assert score.figures() == {
        "mIoU": pytest.approx((1 / 3 + 0.5 + 0.5) / 3),
        "iou/background": pytest.approx(1 / 3),
        "iou/car": 0.5,
        "iou/person": 0.5,
    }


def test_a_class_that_is_only_predicted_counts_as_missed():
    score = SegmentationScore(label_set("objects"))
    score.add(torch.tensor([[3, 0]]), torch.tensor([[0, 0]]))
    assert score.iou()["bike"] == 0.0


def test_without_any_label_there_is_no_mean():
    assert math.isnan(mean_iou({"a": None}))

from __future__ import annotations

import math

import pytest
import torch

from ldfusion.data.label_sets import label_set
from ldfusion.segmentation.metrics import SegmentationScore, TrustedScore, mean_iou


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


def test_pseudo_masks_are_judged_only_where_there_are_no_others():
    score = TrustedScore(label_set("msrs"))
    found, truth = torch.tensor([[[0, 5, 1, 1]]]), torch.tensor([[[0, 0, 1, 2]]])
    score.add(found, truth, torch.tensor([4]))
    # class 5 is unknown to the mask: where it says background, that is not wrong
    assert score.figures()["iou/background"] == 1.0 and score.figures()["iou/car"] == 0.5
    assert "iou/car stop" not in score.figures()
    score.add(found, truth, torch.tensor([9]))
    assert score.figures()["iou/background"] == 0.5 and score.figures()["iou/car stop"] == 0.0
    score.add(torch.tensor([[[0] * 4], [[5] * 4]]), torch.tensor([[[0] * 4], [[0] * 4]]), torch.tensor([9, 4]))
    assert score.figures()["iou/background"] == pytest.approx(5 / 6)

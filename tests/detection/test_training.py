"""Targets, losses and decoding: a perfect answer scores nearly nothing and gives the boxes back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldfusion.detection.base import decode
from ldfusion.detection.losses import centre_loss, side_loss
from ldfusion.detection.targets import Targets, make_targets

SIZE = (64, 96)
BOXES = torch.tensor([[10.0, 8.0, 40.0, 30.0, 0, 3], [60.0, 20.0, 70.0, 50.0, 1, 2]])


def perfect(targets: Targets) -> tuple[Tensor, Tensor]:
    heat = torch.where(targets.heat == 1, 12.0, -12.0)
    return heat, targets.sides


def test_a_perfect_answer_gives_the_boxes_back() -> None:
    targets = make_targets([BOXES], [3], 3, SIZE)
    heat, sides = perfect(targets)
    assert (targets.heat == 1).sum() == 2
    found = decode(heat[0], sides[0])
    order = found.labels.argsort()
    torch.testing.assert_close(found.boxes[order], BOXES[:, :4], atol=1e-3, rtol=0)
    assert found.labels[order].tolist() == [0, 1] and found.scores.min() > 0.99


def test_losses_of_a_perfect_a_blind_and_a_false_answer() -> None:
    targets = make_targets([BOXES], [3], 3, SIZE)
    heat, sides = perfect(targets)
    assert centre_loss(heat, targets).item() < 1e-3
    assert side_loss(sides, targets).item() < 1e-5
    blind = torch.full_like(heat, -12.0)
    assert centre_loss(blind, targets).item() == pytest.approx(12, rel=0.01)
    assert side_loss(2 * sides, targets).item() == pytest.approx(0.75, abs=1e-4)  # a quarter overlaps, inside the hull
    false = heat.clone()
    false[0, 2, 3, 3] = 12
    assert centre_loss(false, targets).item() == pytest.approx(6, rel=0.01)  # over two centres


def test_what_the_shown_sensor_misses_is_not_counted() -> None:
    targets = make_targets([BOXES], [1], 3, SIZE)  # the person is seen by the infrared sensor alone
    assert (targets.heat == 1).sum() == 1
    heat, _ = perfect(targets)
    heat[0, 1, 8, 16] = 12  # inside of that person
    assert centre_loss(heat, targets).item() < 1e-3
    heat[0, 1, 2, 2] = 12
    assert centre_loss(heat, targets).item() > 1


def test_an_image_without_objects() -> None:
    targets = make_targets([torch.zeros(0, 6)], [3], 3, SIZE)
    logits = torch.full((1, 3, 16, 24), -5.0, requires_grad=True)
    loss = centre_loss(logits, targets) + side_loss(torch.ones(1, 4, 16, 24), targets)
    loss.sum().backward()
    assert loss.item() < 0.1 and logits.grad is not None and logits.grad.isfinite().all()
    assert len(decode(logits[0].detach() - 5, torch.ones(4, 16, 24)).boxes) == 0


def test_decoding_drops_doubles_and_stays_inside() -> None:
    heat = torch.full((3, 16, 24), -12.0)
    heat[0, 5, 5], heat[0, 5, 7] = 3.0, 2.0  # one object twice: the second overlaps the first
    heat[1, 5, 9] = 1.0
    found = decode(heat, torch.full((4, 16, 24), 40.0))
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.boxes.min() >= 0 and (found.boxes[:, 2] <= 96).all() and (found.boxes[:, 3] <= 64).all()

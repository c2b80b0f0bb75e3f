"""Turned and mirrored infrared images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldfusion.evaluation.registration import corner_error
from ldfusion.registration import load_registrar
from ldfusion.registration.turns import SURE, TURNS, UPRIGHT, AnyTurn, Turn, turn_matrix, turned
from ldfusion.registration.warp import resize_matrix, transform_points
from ldfusion.types import Registration


class OrderOfBrightness:
    """A registrar of images whose four quarters have different brightness: trusted where both have the same order."""

    def __init__(self, score: float = 0.95) -> None:
        self.score, self.calls = score, 0

    def __call__(self, visible: torch.Tensor, infrared: torch.Tensor) -> Registration:
        self.calls += 1
        orders = [torch.nn.functional.adaptive_avg_pool2d(i[0, :1], 2).flatten().argsort() for i in (visible, infrared)]
        size, moving = (visible.shape[-2], visible.shape[-1]), (infrared.shape[-2], infrared.shape[-1])
        same = bool((orders[0] == orders[1]).all()) and (size[0] > size[1]) == (moving[0] > moving[1])
        return Registration(resize_matrix(moving, size), "affine", self.score if same else 0.0, same)


def quarters(size: tuple[int, int]) -> torch.Tensor:
    return torch.nn.functional.interpolate(torch.tensor([[[[0.1, 0.9], [0.6, 0.3]]]]), size)


@pytest.mark.parametrize("turn", TURNS)
def test_a_matrix_says_where_each_pixel_went(turn: Turn) -> None:
    image = torch.arange(12.0).view(1, 1, 3, 4)
    after = turned(image, turn)
    places = transform_points(turn_matrix(turn, (3, 4)), np.array([(x, y) for y in range(3) for x in range(4)]))
    assert [after[0, 0, round(y), round(x)].item() for x, y in places] == list(range(12))


@pytest.mark.parametrize("turn", TURNS)
def test_every_orientation_is_found(turn: Turn) -> None:
    visible, infrared = quarters((48, 64)), quarters((24, 32))
    mirrored, count = turn
    # an image that `turn` makes upright
    came = torch.rot90(infrared, -count, (-2, -1))
    came = came.flip(-1) if mirrored else came
    registrar = AnyTurn(OrderOfBrightness())
    found = registrar(visible.expand(-1, 3, -1, -1), came)
    assert found.trusted and registrar.advice == TURNS[turn]
    wanted = resize_matrix((24, 32), (48, 64)) @ turn_matrix(turn, (came.shape[-2], came.shape[-1]))
    assert np.allclose(found.matrix, wanted)


def test_the_turn_of_one_pair_is_tried_first_on_the_next() -> None:
    inner = OrderOfBrightness()
    registrar = AnyTurn(inner)
    visible, came = quarters((48, 64)).expand(-1, 3, -1, -1), quarters((24, 32)).flip(-2)
    registrar(visible, came)
    before = inner.calls
    registrar(visible, came)
    assert inner.calls == before + 1 and registrar.advice == TURNS[(True, 2)]
    assert registrar(visible, came.flip(-2)).trusted and registrar.advice == ""


def test_what_is_not_sure_is_not_believed_and_tried_a_few_times_only() -> None:
    inner = OrderOfBrightness(SURE - 0.01)
    registrar = AnyTurn(inner)
    visible, came = quarters((48, 64)).expand(-1, 3, -1, -1), quarters((24, 32)).flip(-2)
    for _ in range(3):
        assert not registrar(visible, came).trusted and registrar.advice == ""
    assert inner.calls == 3 * len(TURNS)
    registrar(visible, came)
    assert inner.calls == 3 * len(TURNS) + 1
    assert registrar(visible, came.flip(-2)).trusted  # upright ones need no more than the registrar says


@pytest.mark.slow
@pytest.mark.parametrize("turn", TURNS)
def test_the_robust_default_finds_them(turn: Turn, drawn_scene: tuple[torch.Tensor, torch.Tensor]) -> None:
    visible, infrared = drawn_scene
    came = torch.rot90(infrared, -turn[1], (-2, -1))
    came = came.flip(-1) if turn[0] else came
    registrar = AnyTurn(load_registrar())
    found = registrar(visible, came)
    assert found.trusted and registrar.advice == TURNS[turn]
    size = (came.shape[-2], came.shape[-1])
    assert corner_error(found.matrix, turn_matrix(turn, size), size) < 4


def test_upright_is_no_turn() -> None:
    assert TURNS[UPRIGHT] == "" and np.array_equal(turn_matrix(UPRIGHT, (3, 4)), np.eye(3))

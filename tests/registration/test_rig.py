"""What a rig gets wrong in every pair: found on drawn scenes whose displacement is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ldfusion.registration.rig import Rig, block_centres, block_surfaces, fit_rig, pair_shift, peak
from ldfusion.registration.warp import warp_flow

Scene = tuple[torch.Tensor, torch.Tensor]
SIZE = (160, 224)


@pytest.fixture(scope="module")
def lens() -> Rig:
    """Up to 3 pixels, of the third degree: a shift, a scale and a distortion."""
    coefficients = np.zeros((10, 2))
    coefficients[0] = 0.6, -1.0  # order of `_terms`: 1, y, y2, y3, x, xy, xy2, x2, x2y, x3
    coefficients[1, 1], coefficients[4, 0] = -2.0, 1.5
    coefficients[8, 1], coefficients[9, 0] = 1.5, -2.5
    return Rig(SIZE, coefficients)


@pytest.fixture
def seen_by(two_sensors: Callable[[int, int, int], Scene], lens: Rig) -> Callable[[int, tuple[float, float]], Scene]:
    """Pairs of drawn scenes of that rig; moving the infrared image by its flow and the pair's shift undoes it."""
    inverse = lens.flow()
    for _ in range(8):  # the flow that the true one undoes: g(x) = -f(x + g(x))
        inverse = -warp_flow(lens.flow()[None], inverse)[0]

    def draw(seed: int, shift: tuple[float, float] = (0.0, 0.0)) -> Scene:
        visible, infrared = two_sensors(*SIZE, seed)
        return visible, warp_flow(infrared, inverse - torch.tensor(shift).view(2, 1, 1))

    return draw


def pooled(pairs: list[Scene], flow: torch.Tensor | None = None) -> list[np.ndarray]:
    return [sum(block_surfaces(*pair, 6, flow) for pair in pairs[k::2]) for k in range(2)]  # type: ignore[misc]


def test_a_distortion_is_found_from_many_pairs(seen_by: Callable[..., Scene], lens: Rig) -> None:
    pairs = [seen_by(seed) for seed in range(16)]
    rig = fit_rig(pooled(pairs), SIZE)
    rig = fit_rig(pooled(pairs, rig.flow()), SIZE, rig)
    error = (rig.flow() - lens.flow()).norm(dim=0)
    before = lens.flow().norm(dim=0)
    assert float(before.mean()) > 1.2
    assert float(error.mean()) < 0.35 and float(error.max()) < 1.5


def test_an_aligned_set_is_left_as_it_is(two_sensors: Callable[[int, int, int], Scene]) -> None:
    rig = fit_rig(pooled([two_sensors(*SIZE, seed) for seed in range(8)]), SIZE)
    assert float(rig.flow().norm(dim=0).max()) < 0.5


def test_images_without_common_edges_give_no_field() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [(torch.rand(1, 3, *SIZE, generator=generator), torch.full((1, 1, *SIZE), 0.5)) for _ in range(4)]
    rig = fit_rig(pooled(pairs), SIZE)
    assert not rig.coefficients.any()
    before = Rig(SIZE, np.ones((1, 2)))
    assert fit_rig(pooled(pairs), SIZE, before) is before


def test_a_pair_tells_its_own_shift(seen_by: Callable[..., Scene], lens: Rig) -> None:
    shift = pair_shift(block_surfaces(*seen_by(40, (2.4, -1.2)), 6, lens.flow()), SIZE)
    assert shift.believed
    assert shift.value == pytest.approx((2.4, -1.2), abs=0.4)


def test_a_pair_that_cannot_tell_stays_with_its_rig(seen_by: Callable[..., Scene], lens: Rig) -> None:
    visible, infrared = seen_by(41)
    elsewhere = seen_by(42)[1]
    for other in (elsewhere, torch.full_like(infrared, 0.3)):
        shift = pair_shift(block_surfaces(visible, other, 6, lens.flow()), SIZE)
        assert not shift.believed and shift.value == (0.0, 0.0)


def test_a_shift_at_the_rim_of_the_search_is_not_believed(seen_by: Callable[..., Scene], lens: Rig) -> None:
    assert not pair_shift(block_surfaces(*seen_by(43, (5.6, 0.0)), 5, lens.flow()), SIZE).believed


def test_displacement_at_points_and_as_a_flow_are_the_same(lens: Rig) -> None:
    points = np.array([[0.0, 0.0], [100.0, 30.0], [223.0, 159.0]])
    flow = lens.flow((0.5, -0.25))
    for (x, y), value in zip(points.astype(int), lens.at(points), strict=True):
        assert flow[:, y, x].tolist() == pytest.approx([value[0] + 0.5, value[1] - 0.25], abs=1e-5)


def test_blocks_cover_the_frame() -> None:
    centres = block_centres(SIZE)
    assert len(centres) == 13 * 15
    assert centres.min(0).tolist() == [13.5, 10.5]
    assert centres.max(0).tolist() == [223 - 13.5, 159 - 10.5]


def test_a_peak_lies_between_pixels() -> None:
    y, x = np.mgrid[-4:5, -4:5]
    assert peak(-((x - 1.3) ** 2) - (y + 2.2) ** 2) == pytest.approx((1.3, -2.2))
    assert peak(np.zeros((9, 9))) == (-4.0, -4.0)  # the rim: nothing to interpolate with

"""The temporal policy, driven by registrars whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.registration.edges import edge_agreement
from ldfusion.registration.temporal import ClipRegistration, Policy
from ldfusion.registration.votes import matrix_of
from ldfusion.registration.warp import corners, invert, transform_points, warp_image
from ldfusion.types import Registration

SIZE = (96, 128)
RATE = 10


def shift(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def scene(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A visible picture with edges, and an infrared one with the same edges and other levels."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, 1, 12, 16))).float()
    blocks = F.interpolate(coarse, SIZE, mode="nearest")
    return blocks.expand(-1, 3, -1, -1).contiguous(), 1 - blocks


class Known:
    """Answers with the matrix, score and trust that a function gives for the number of the call."""

    def __init__(self, answer: Callable[[int], tuple[np.ndarray, float, bool]]) -> None:
        self.answer, self.calls = answer, 0

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        matrix, score, trusted = self.answer(self.calls)
        self.calls += 1
        return Registration(matrix, "homography", score, trusted)


def play(
    clip: ClipRegistration, seconds: float, truth: Callable[[float], np.ndarray], start: float = 0.0
) -> list[np.ndarray]:
    """Feed a clip whose infrared lies at ``truth``; returns the transform in use after every frame."""
    visible, aligned = scene()
    applied = []
    for k in range(round(seconds * RATE)):
        time = start + k / RATE
        infrared = warp_image(aligned, np.linalg.inv(truth(time)), SIZE)
        warped, _ = clip(visible, infrared, time)
        assert warped.shape == (1, 1, *SIZE)
        assert clip.corners is not None
        applied.append(matrix_of(clip.corners, SIZE))
    return applied


def test_matrix_of_corners_is_the_matrix() -> None:
    matrix = np.array([[1.1, 0.05, -7], [-0.03, 0.9, 4], [1e-4, -2e-4, 1]])
    np.testing.assert_allclose(matrix_of(transform_points(matrix, corners(SIZE)), SIZE), matrix, atol=1e-9)


def test_edges_agree_where_the_images_are_registered() -> None:
    visible, infrared = scene()
    assert edge_agreement(visible, infrared) == pytest.approx(1.0, abs=1e-4)
    values = [edge_agreement(visible, warp_image(infrared, shift(d, d / 2), SIZE)) for d in (0, 2, 6)]
    assert values[0] > values[1] > values[2]
    noise = torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    assert edge_agreement(visible, noise) < 0.1
    assert edge_agreement(visible, torch.full_like(infrared, 0.5)) == 0.0
    half = infrared.clone()
    half[..., :64] = noise[..., :64]
    mask = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    mask[..., 66:] = True
    assert edge_agreement(visible, half, mask) == pytest.approx(1.0, abs=1e-3)
    assert edge_agreement(visible, half) < 0.9


def test_the_frame_is_warped_by_the_estimate() -> None:
    visible, aligned = scene()
    infrared = warp_image(aligned, np.linalg.inv(shift(10, -4)), SIZE)
    clip = ClipRegistration(Known(lambda _: (shift(10, -4), 0.9, True)))
    warped, mask = clip(visible, infrared, 0.0)
    assert mask is not None and 0.8 < mask.float().mean() < 0.95
    torch.testing.assert_close(warped[mask], (1 - luma(visible))[mask], atol=1e-4, rtol=0)


def test_estimates_become_rare_and_their_median_is_better_than_one() -> None:
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 0.6, (20, 2))
    noisy = Known(lambda call: (shift(*(np.array([10, -4]) + errors[call])), 0.9, True))
    clip = ClipRegistration(noisy)
    applied = play(clip, 40, lambda _: shift(10, -4))
    times = [estimate.time for estimate in clip.estimates]
    assert times[:5] == pytest.approx([0, 1, 3, 7, 15], abs=0.11)
    assert np.diff(times)[4:] == pytest.approx(8.0, abs=0.11)
    assert noisy.calls == len(times) < 9
    left = np.abs(applied[-1][:2, 2] - (10, -4)).mean()
    assert left < 0.6 * np.abs(errors[: noisy.calls]).mean()


def test_a_wrong_estimate_moves_nothing() -> None:
    def answer(call: int) -> tuple[np.ndarray, float, bool]:
        return (shift(60, 40) if call == 2 else shift(10, -4)), 0.9, True

    clip = ClipRegistration(Known(answer))
    applied = play(clip, 20, lambda _: shift(10, -4))
    assert [estimate.outcome for estimate in clip.estimates][:4] == ["used", "used", "odd", "used"]
    # the doubt is resolved soon, not after the usual pause
    assert clip.estimates[3].time - clip.estimates[2].time == pytest.approx(0.5, abs=0.11)
    for matrix in applied:
        np.testing.assert_allclose(matrix, shift(10, -4), atol=1e-6)


def test_cameras_that_were_knocked_are_followed_at_once_and_smoothly() -> None:
    def truth(time: float) -> np.ndarray:
        return shift(10, -4) if time < 12 else shift(22, 5)

    visible, aligned = scene()
    clock = [0.0]
    clip = ClipRegistration(Known(lambda _: (truth(clock[0]), 0.9, True)))
    shown = []
    for k in range(200):
        clock[0] = k / RATE
        infrared = warp_image(aligned, np.linalg.inv(truth(clock[0])), SIZE)
        warped, _ = clip(visible, infrared, clock[0])
        shown.append(warped)
    outcomes = {round(estimate.time, 1): estimate.outcome for estimate in clip.estimates}
    assert outcomes[12.0] == "odd" and "new" in (outcomes.get(12.5), outcomes.get(12.6))
    np.testing.assert_allclose(matrix_of(clip.corners, SIZE), shift(22, 5), atol=1e-6)
    expected = 1 - luma(visible)
    inner = (..., slice(20, 76), slice(40, 100))
    assert (shown[115][inner] - expected[inner]).abs().mean() < 0.01
    assert (shown[122][inner] - expected[inner]).abs().mean() > 0.05  # still where it was
    assert (shown[160][inner] - expected[inner]).abs().mean() < 0.01


def test_a_scene_that_changes_asks_once_and_keeps_the_transform() -> None:
    visible, aligned = scene()
    infrared = warp_image(aligned, np.linalg.inv(shift(10, -4)), SIZE)
    smoke = torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    clip = ClipRegistration(Known(lambda call: (shift(10, -4), 0.9, call < 3)))
    for k in range(100):
        clip(visible, infrared if k < 45 else smoke, k / RATE)
    late = [estimate for estimate in clip.estimates if estimate.time >= 4.5]
    assert late[0].time == 4.5 and late[0].outcome == "failed"
    assert len(late) <= 2
    np.testing.assert_allclose(matrix_of(clip.corners, SIZE), shift(10, -4), atol=1e-6)


def test_without_a_success_the_infrared_is_resized() -> None:
    visible, aligned = scene()
    failing = Known(lambda _: (shift(60), 0.1, False))
    clip = ClipRegistration(failing)
    small = F.interpolate(aligned, (48, 64), mode="area")
    for k in range(100):
        warped, mask = clip(visible, small, k / RATE)
        assert mask is None and warped.shape == (1, 1, *SIZE)
    assert not clip.trusted and clip.corners is None
    assert failing.calls <= 6
    torch.testing.assert_close(
        warped, F.interpolate(small, SIZE, mode="bilinear", align_corners=False), atol=1e-5, rtol=0
    )
    assert all(estimate.as_dict()["matrix"] is None for estimate in clip.estimates)


def test_the_largest_group_of_samples_starts_the_clip() -> None:
    answers = [shift(10, -4), shift(-50, 9), shift(10.5, -4), shift(10, -4.5), shift(-52, 30)]
    samples = Known(lambda call: (answers[call] if call < 5 else shift(10, -4), 0.9, call != 3))
    clip = ClipRegistration(samples, policy=Policy(window=5))
    moved = invert(shift(11, -4))
    clip.prime([(visible, warp_image(infrared, moved, SIZE)) for visible, infrared in map(scene, range(5))])
    assert samples.calls == 5 and clip.trusted
    # better than the median of the group, 10.25
    np.testing.assert_allclose(matrix_of(clip.corners, SIZE), shift(11, -4), atol=0.1)
    np.testing.assert_allclose(clip.estimates[0].matrix, matrix_of(clip.corners, SIZE))
    visible, infrared = scene()
    clip(visible, infrared, 0.0)
    assert samples.calls == 5  # nothing is asked again so soon


def test_a_flow_is_no_transform_of_a_clip() -> None:
    def flow(visible: Tensor, infrared: Tensor) -> Registration:
        return Registration(shift(0), "flow", 0.9, True, torch.zeros(2, *SIZE))

    with pytest.raises(InputError, match="one transform for the clip"):
        ClipRegistration(flow)(*scene(), 0.0)


def test_the_next_registrar_starts_what_the_first_could_not() -> None:
    failing = Known(lambda _: (shift(60), 0.1, False))
    able = Known(lambda _: (shift(11, -4), 0.9, True))
    clip = ClipRegistration(failing, able)
    visible, infrared = scene()
    moved = warp_image(infrared, invert(shift(11, -4)), SIZE)
    clip.prime([(visible, moved)] * 2)
    assert (failing.calls, able.calls) == (2, 2) and clip.trusted
    for k in range(20):
        clip(visible, moved, k / RATE)
    assert failing.calls == 2 and able.calls > 2
    hopeless = ClipRegistration(failing, failing)
    hopeless.prime([(visible, moved)])
    assert not hopeless.trusted and hopeless.corners is None

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from ldfusion.fusion import video
from ldfusion.fusion.classical import mean_fusion
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.video import VideoFuser
from ldfusion.io.color import luma
from ldfusion.io.frame import Frame
from ldfusion.io.video_pair import FramePair
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration import align
from ldfusion.registration.temporal import ClipRegistration
from ldfusion.types import Registration


def pairs(count: int, rate: float = 10, infrared: tuple[int, int] = (48, 64)) -> list[FramePair]:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    thermal = rng.integers(0, 256, infrared, dtype=np.uint8)
    return [FramePair(k / rate, Frame(k / rate, colour), Frame(k / rate, thermal)) for k in range(count)]


def test_frames_are_fused_and_joined() -> None:
    (pair,) = pairs(1)
    frame = VideoFuser(load_method("mean"))(pair)
    expected = mean_fusion(pair.visible.tensor(), pair.infrared.tensor())
    torch.testing.assert_close(frame.fused, expected)
    picture = frame.picture(side_by_side=True)
    assert picture.shape == (48, 192, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture[:, :64], pair.visible.pixels)
    assert np.array_equal(picture[:, 64:128], pair.infrared.pixels[..., None].repeat(3, -1))
    assert np.array_equal(picture[:, 128:], frame.picture())


def test_an_infrared_frame_of_another_size_is_resized() -> None:
    (pair,) = pairs(1, infrared=(96, 128))
    assert VideoFuser(load_method("mean"))(pair).infrared.shape == (1, 1, 48, 64)


def test_registered_frames_are_warped_and_filled_with_visible_luma() -> None:
    matrix = np.array([[1, 0, 20], [0, 1, 0], [0, 0, 1.0]])
    clip = ClipRegistration(lambda visible, infrared: Registration(matrix, "affine", 0.9, True))
    fuser = VideoFuser(load_method("mean"), clip)
    (pair,) = pairs(1)
    frame = fuser(pair)
    inside = 20 + align.FEATHER
    expected = pair.infrared.tensor()[..., inside - 20 : 44]
    torch.testing.assert_close(frame.infrared[..., inside:], expected, atol=1e-5, rtol=0)
    # in between both are mixed, the infrared ever more
    grey, thermal = luma(frame.visible)[..., 20:inside], pair.infrared.tensor()[..., : align.FEATHER]
    share = ((frame.infrared[..., 20:inside] - grey) * (thermal - grey)).sum(-2) / ((thermal - grey) ** 2).sum(-2)
    assert (share.diff() > 0).all() and 0 < share.min() < 0.15 and 0.85 < share.max() < 1
    torch.testing.assert_close(frame.infrared[..., :20], luma(frame.visible)[..., :20])
    torch.testing.assert_close(frame.fused[..., :20], frame.visible[..., :20], atol=1e-5, rtol=0)
    fuser.prime(pairs(3))
    assert [entry["outcome"] for entry in fuser.report()["registration"]] == ["used"] * 4


def test_a_still_scene_gives_a_still_result(weights: str) -> None:
    fuser = VideoFuser(load_method("ldfusion", weights=weights))
    frames = [fuser(pair).fused for pair in pairs(4)]
    assert all(torch.equal(frame, frames[0]) for frame in frames)
    assert [time for time, _ in fuser.sentences] == [0.0]


class Talker(LDFusionPipeline):
    """Sees something else whenever it is asked."""

    asked = 0

    def sentences(self, visible: Tensor, infrared: Tensor) -> list[str]:
        self.asked += 1
        return ["a street . a person" if self.asked % 2 else "near person near . street street"]


def test_the_sentence_is_renewed_now_and_then_and_taken_up_gradually(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "SENTENCE_EVERY", 1.0)
    method = Talker(**LDFusionPipeline.from_pretrained(weights).components)
    fuser = VideoFuser(method)
    held, clip = [], pairs(30)
    for pair in clip:
        fuser(pair)
        assert fuser.frames is not None
        held.append(fuser.frames.feature)
    assert [time for time, _ in fuser.sentences] == [0.0, 1.0, 2.0]
    assert all(torch.equal(feature, held[0]) for feature in held[:10])
    first, second = (method.text_encoder.encode([text]) for _, text in fuser.sentences[:2])
    whole = float((second - first).abs().max())
    assert whole > 1e-3
    steps = [float((after - before).abs().max()) for before, after in pairwise(held[9:20])]
    assert max(steps) < 0.11 * whole and float((held[19] - second).abs().max()) < 0.42 * whole

    fixed = VideoFuser(load_method("ldfusion", weights=weights, prompt="a person near a street"))
    for pair in clip:
        fixed(pair)
    assert fixed.sentences == [(0.0, "a person near a street")]
    assert fixed.report() == {"sentences": [{"time": 0.0, "sentence": "a person near a street"}]}

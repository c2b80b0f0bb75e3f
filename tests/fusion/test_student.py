from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.fusion.guidance import SteadyMethod
from ldfusion.fusion.realtime import RealtimeNetwork
from ldfusion.fusion.runtimes import load_realtime
from ldfusion.fusion.student import RealtimeFusion, make_picture

SMALL = {"working": (32, 48), "widths": (4, 6, 8), "hidden": 5, "token": 7, "text_dim": 128}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Weights of an untrained student whose coefficients differ much from place to place."""
    torch.manual_seed(0)
    network = RealtimeNetwork(**SMALL)
    with torch.no_grad():
        network.mix.weight.mul_(20)
        network.cells[1].weight.mul_(5)
    network.save_pretrained(tmp_path / "student")
    return str(tmp_path / "student")


def pair(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


@pytest.mark.parametrize("size", [(150, 203), (64, 300), (301, 33)])
def test_tiles_show_no_seams(folder: str, size: tuple[int, int]) -> None:
    method = RealtimeFusion(folder)
    visible, infrared = pair(*size, batch=2)
    cells = method.cells(visible, infrared)
    whole = make_picture(cells, visible, infrared, method.network)
    assert whole.std() > 0.05
    torch.testing.assert_close(make_picture(cells, visible, infrared, method.network, 64), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(whole, method.network(visible, infrared)[0].clamp(0, 1), atol=1e-5, rtol=0)


def test_a_sentence_and_a_tone_are_kept_for_all_pairs(folder: str) -> None:
    visible, infrared = pair(60, 80, 2)
    plain = RealtimeFusion(folder).fuse(visible, infrared)
    said = RealtimeFusion(folder, prompt="highlight the people")
    assert said.options == {"prompt": "highlight the people"}
    assert (said.fuse(visible, infrared) - plain).abs().max() > 1e-4
    bright = RealtimeFusion(folder, tone="bright")
    assert bright.options == {"tone": "bright"} and (bright.fuse(visible, infrared) - plain).abs().max() > 1e-4
    with pytest.raises(InputError, match="tone"):
        RealtimeFusion(folder, tone="loud")
    with pytest.raises(InputError, match="size: unknown 'huge'; known: base, tiny"):
        RealtimeFusion(size="huge")


def test_frames_of_a_still_scene_stay_as_the_first_one(folder: str) -> None:
    method = RealtimeFusion(folder)
    assert isinstance(method, SteadyMethod)
    visible, infrared = pair(48, 64)
    frames = method.frames()
    first = frames.fuse(visible, infrared, 0.0)
    torch.testing.assert_close(first, method.fuse(visible, infrared), atol=1e-5, rtol=0)
    noisy = (visible + 0.004 * torch.randn(visible.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
    second = frames.fuse(noisy, infrared, 0.04)
    alone = method.fuse(noisy, infrared)
    assert (second - first).abs().mean() < 0.8 * (alone - first).abs().mean()


def test_after_a_cut_nothing_of_the_scene_before_is_left(folder: str) -> None:
    method = RealtimeFusion(folder)
    frames = method.frames()
    frames.fuse(*pair(48, 64), 0.0)
    dark, warm = torch.zeros(1, 3, 48, 64), torch.full((1, 1, 48, 64), 0.9)
    torch.testing.assert_close(frames.fuse(dark, warm, 0.04), method.fuse(dark, warm), atol=1e-5, rtol=0)


def test_an_unknown_runtime_and_a_network_of_another_kind_are_refused(folder: str) -> None:
    with pytest.raises(InputError, match="runtime: unknown 'tensorrt'; known: torch, onnx"):
        load_realtime(folder, runtime="tensorrt")
    config = Path(folder, "config.json")
    config.write_text(config.read_text().replace("RealtimeNetwork", "FusionDecoder"))
    with pytest.raises(InputError, match="FusionDecoder"):
        load_realtime(folder)

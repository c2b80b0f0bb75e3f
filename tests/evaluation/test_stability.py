from __future__ import annotations

import math

import pytest
import torch

from ldfusion.evaluation.stability import StabilityMeter


def grey(level: float, size: tuple[int, int] = (40, 60)) -> torch.Tensor:
    return torch.full((1, 1, *size), level / 255)


def test_a_fused_video_that_pulsates_on_still_sources() -> None:
    meter = StabilityMeter()
    for k in range(9):
        meter.add(grey(100).expand(-1, 3, -1, -1), grey(50), grey(80 + 3 * (k % 2)).expand(-1, 3, -1, -1))
    found = meter.result()
    assert found.frames == 8 and found.static == 1.0 and found.sources == 0.0
    assert found.fused == pytest.approx(3.0, abs=1e-3) and found.flicker == pytest.approx(3.0, abs=1e-3)


def test_noise_of_the_sources_is_taken_off() -> None:
    generator = torch.Generator().manual_seed(0)
    meter, size = StabilityMeter(), (100, 120)
    for _ in range(8):
        visible = (grey(100, size) + torch.randn(1, 1, *size, generator=generator) / 255).expand(-1, 3, -1, -1)
        infrared = grey(50, size) + torch.randn(1, 1, *size, generator=generator) / 255
        meter.add(visible, infrared, (visible + infrared) / 2)
    found = meter.result()
    # differences of two normal values have deviation sqrt(2); a mean of two sources has half the variance
    assert found.sources == pytest.approx(2 / math.sqrt(math.pi), rel=0.03)
    assert found.fused == pytest.approx(2 / math.sqrt(math.pi) / math.sqrt(2), rel=0.03)
    assert found.flicker < 0 and found.static > 0.95


def test_what_moves_does_not_count() -> None:
    meter = StabilityMeter()
    for k in range(6):
        visible, fused = grey(100).expand(-1, 3, -1, -1).clone(), grey(90).expand(-1, 3, -1, -1).clone()
        visible[..., 8 * k : 8 * k + 8] = 1
        fused[..., 8 * k : 8 * k + 8] = 1
        meter.add(visible, grey(50), fused)
    found = meter.result()
    assert 0.5 < found.static < 0.75
    assert found.flicker == pytest.approx(0.0, abs=1e-4)


def test_without_static_areas_there_is_no_value() -> None:
    meter = StabilityMeter()
    assert math.isnan(meter.result().flicker)
    for level in (10, 60, 110):
        meter.add(grey(level).expand(-1, 3, -1, -1), grey(50), grey(90).expand(-1, 3, -1, -1))
    assert math.isnan(meter.result().flicker) and meter.result().static == 0.0

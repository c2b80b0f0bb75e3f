from __future__ import annotations

import pytest
import torch

from ldfusion.errors import InputError
from ldfusion.fusion.tone import CONTROLS, GAIN, GAMMA, TONES, develop, tone_controls


def test_names_and_numbers() -> None:
    assert tone_controls("natural").tolist() == [[0.0, 0.0]]
    assert tone_controls("contrast").tolist() == [[1.0, 0.0]]
    assert tone_controls("bright").tolist() == [[0.0, 1.0]]
    assert tone_controls((0.5, -1)).tolist() == [[0.5, -1.0]]
    assert all(len(values) == CONTROLS for values in TONES.values())


@pytest.mark.parametrize("tone", [(2.0, 0.0), (0.0,), (0.0, 0.0, 0.0), ("a", "b"), (float("nan"), 0.0), 3])
def test_other_values_are_refused(tone: object) -> None:
    with pytest.raises(InputError, match="from -1 to 1"):
        tone_controls(tone)  # type: ignore[arg-type]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown 'brigth'.*bright"):
        tone_controls("brigth")


def test_the_curve() -> None:
    grey = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.3
    tone = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    found = develop(grey, tone)
    assert torch.allclose(found[0], grey[0], atol=1e-6)
    mean = grey[1].mean()
    assert torch.allclose(found[1], mean + GAIN * (grey[1] - mean), atol=1e-6)
    bright = develop(grey, torch.tensor([[0.0, 1.0]]))
    assert torch.allclose(bright, grey ** (1 / GAMMA), atol=1e-6)
    dark = develop(grey, torch.tensor([[0.0, -1.0]]))
    assert torch.allclose(dark, grey**GAMMA, atol=1e-6)
    assert develop(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[1.0, 1.0]])).tolist() == [[[[0.0, 1.0]]]]

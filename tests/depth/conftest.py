from __future__ import annotations

import pytest
import torch


@pytest.fixture
def golden() -> tuple[torch.Tensor, torch.Tensor]:
    """A 24x32 ramp with waves (target) and a prediction related to it by scale, shift and a ripple."""
    i = torch.arange(24, dtype=torch.float64)[:, None]
    j = torch.arange(32, dtype=torch.float64)[None]
    target = 2 + 0.1 * i + 0.05 * j + 0.5 * torch.sin(i / 3)
    prediction = 0.5 * target + 1 + 0.1 * torch.cos(j / 4)
    return prediction[None, None], target[None, None]

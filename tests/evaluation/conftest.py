from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def triple() -> Callable[[str], tuple[Tensor, Tensor, Tensor]]:
    """(fused, visible, infrared), (1, 1, 192, 208) each, of pairs that a formula defines: "arithmetic", "smooth"."""

    def make(name: str) -> tuple[Tensor, Tensor, Tensor]:
        i, j = torch.arange(192).view(-1, 1), torch.arange(208).view(1, -1)
        if name == "arithmetic":
            infrared, visible = (7 * i + 13 * j) % 256, (i * i + 3 * j) % 256
            fused = (infrared + visible + 2 * torch.maximum(infrared, visible)) // 4
        else:
            i, j = i.double(), j.double()
            infrared = (127.5 + 100 * torch.sin(i / 9) * torch.cos(j / 7)).round()
            visible = (120 + 90 * torch.sin((i + 2 * j) / 15)).round()
            fused = (0.6 * torch.maximum(infrared, visible) + 0.4 * torch.minimum(infrared, visible)).round()
        return fused.float()[None, None], visible.float()[None, None], infrared.float()[None, None]

    return make

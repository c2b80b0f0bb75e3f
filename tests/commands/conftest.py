from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.io.image import write_png


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Folders ``visible`` and ``infrared`` with the pairs ``a``, ``b`` and ``c`` of 37 x 45 pixels."""
    generator = torch.Generator().manual_seed(0)
    for name in "abc":
        write_png(tmp_path / "visible" / f"{name}.png", torch.rand(3, 37, 45, generator=generator))
        write_png(tmp_path / "infrared" / f"{name}.png", torch.rand(1, 37, 45, generator=generator))
    return tmp_path

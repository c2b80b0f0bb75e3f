from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.io.image import write_png


@pytest.fixture(scope="session")
def two_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of RoadScene and MSRS with two validation pairs each, of 64x48 pixels; ``msrs/1N`` is none of them."""
    root = tmp_path_factory.mktemp("two_sets")
    generator = torch.Generator().manual_seed(0)
    names = ["roadscene/FLIR_1", "roadscene/FLIR_2", "msrs/1D", "msrs/2D"]
    for name in [*names, "msrs/1N"]:
        data_set, stem = name.split("/")
        for side, channels in (("visible", 3), ("infrared", 1)):
            image = 0.2 + 0.6 * torch.rand(channels, 48, 64, generator=generator)
            write_png(root / data_set / side / f"{stem}.png", image)
    (root / "splits").mkdir()
    (root / "splits" / "val.txt").write_text("\n".join(names) + "\n")
    return root

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ldfusion.io.image import write_png


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a pipeline of the real components, all of them tiny and untrained."""
    from captioning.network import DepthCaptioner
    from depth.network import DepthStudent
    from ldfusion.diffusion.denoiser import build_denoiser
    from ldfusion.fusion.decoder import FusionDecoder
    from ldfusion.language.text import TextEncoder
    from ldfusion.pipeline import LDFusionPipeline

    torch.manual_seed(0)
    size = {"widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 32}
    pipe = LDFusionPipeline(
        denoiser=build_denoiser((8, 8, 8), groups=4),
        decoder=FusionDecoder((8, 8, 8), 3, (8, 8, 8), text_dim=16, hidden=16),
        text_encoder=TextEncoder(dim=16, width=16, heads=2, layers=1, context_length=32, merges="0-99"),
        depth_visible=DepthStudent(3, **size),
        depth_infrared=DepthStudent(1, **size),
        captioner=DepthCaptioner(
            ["a", "street", "person", "near", "."], (32, 32), (8, 8, 8, 8), (1, 1, 1), 16, 1, 2, max_length=12
        ),
    )
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    pipe.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Folders ``visible`` and ``infrared`` with the pairs ``a``, ``b`` and ``c`` of 37 x 45 pixels."""
    generator = torch.Generator().manual_seed(0)
    for name in "abc":
        write_png(tmp_path / "visible" / f"{name}.png", torch.rand(3, 37, 45, generator=generator))
        write_png(tmp_path / "infrared" / f"{name}.png", torch.rand(1, 37, 45, generator=generator))
    return tmp_path


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file may grow beyond this many bytes, as on a disk with no room for more."""
    limit = 1000
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

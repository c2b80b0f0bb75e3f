from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ldfusion.fusion.grid import TILE, apply_grid, positions
from ldfusion.io.image import read_infrared, read_visible

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs between systems")

LIMIT = 2e9
PEAK = "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
GROWING = f"""
import resource, sys
from ldfusion.cli import main
for name in ("small", "large"):
    files = [f"{{sys.argv[1]}}/{{name}}-{{side}}.png" for side in "vi"]
    assert main(["fuse", *files, "-o", f"{{sys.argv[1]}}/out", "--weights", sys.argv[2], "--device", "cpu"]) == 0
    {PEAK}
"""
LARGE = f"""
import resource, sys
import torch
from ldfusion.cli import main
from ldfusion.fusion import fuser
slicing = fuser.apply_tiled
def spy(grid, *rest):
    torch.save(grid.clone(), sys.argv[1])
    return slicing(grid, *rest)
fuser.apply_tiled = spy
code = main(sys.argv[2:])
{PEAK}
sys.exit(code)
"""


def run(program: str, *arguments: str | Path) -> list[int]:
    """The peaks in bytes that a program in a process of its own prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [int(line) for line in result.stdout.split()]


def write_pair(visible: Path, infrared: Path, width: int, height: int) -> None:
    rng = np.random.default_rng(0)
    small = cv2.GaussianBlur(rng.integers(0, 256, (400, 600, 4)).astype(np.uint8), (0, 0), 3)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(visible), large[..., :3])
    cv2.imwrite(str(infrared), large[..., 3])


def test_memory_grows_by_the_images_alone(tmp_path: Path, weights: str) -> None:
    """Two pairs in one process: programs, networks and tiles take the same for both, so that they do not count."""
    sizes = {"small": (900, 600), "large": (3000, 2000)}
    for name, size in sizes.items():
        write_pair(tmp_path / f"{name}-v.png", tmp_path / f"{name}-i.png", *size)
    small, large = run(GROWING, tmp_path, weights)
    # both images and the fused one are 28 bytes a pixel in float32 and 7 in the files; the first pair's memory is used
    # again, so that 21 are measured
    assert large - small < 28 * (3000 * 2000 - 900 * 600)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_pair_of_24_megapixels_fuses_under_2_gb(tmp_path: Path) -> None:
    """The embedded networks, the whole command: reading, tiles, depth, panel and files. Measured: 1.82 GB.

    The picture has no seam: what is cut out across the borders of tiles and sliced by itself is the same.
    """
    write_pair(tmp_path / "v.png", tmp_path / "i.png", 6000, 4000)
    words = ["fuse", tmp_path / "v.png", tmp_path / "i.png", "-o", tmp_path / "out", "--device", "cpu"]
    (peak,) = run(LARGE, tmp_path / "grid.pt", *words)
    assert peak < LIMIT

    fused = read_visible(tmp_path / "out" / "fused" / "v.png")[0]
    assert fused.shape == (3, 4000, 6000)
    visible, infrared = read_visible(tmp_path / "v.png")[0][None], read_infrared(tmp_path / "i.png")[None]
    grid = torch.load(tmp_path / "grid.pt", weights_only=True)
    y, x = positions(4000, 6000, visible)
    for row, column in ((TILE, TILE), (7 * TILE, 11 * TILE), (3000, 4500)):
        part = (..., slice(row - 150, row + 150), slice(column - 150, column + 150))
        alone = apply_grid(grid, visible[part], infrared[part], (y[part], x[part])).clamp(0, 1)
        inside = (..., slice(4, -4), slice(4, -4))
        assert (alone[inside] - fused[None][part][inside]).abs().max() < 0.5 / 255 + 1e-5  # stored in 8 bits

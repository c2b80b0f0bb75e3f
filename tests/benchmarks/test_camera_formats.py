from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from ldfusion.benchmarks import camera_formats
from ldfusion.io.palette import apply_palette
from ldfusion.io.radiometric import read_thermal


def test_degrees_beside_the_picture_and_the_known_answer(tmp_path: Path, camera_files: ModuleType) -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    counts = (14686 + 6000 * ramp).round().astype(np.uint16)
    picture = apply_palette(ramp, "iron")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(camera_files.flir_jpeg(camera_files.fff_block(counts, picture), picture))
    (folder / "broken.png").write_bytes(b"x")
    Image.fromarray((255 * ramp).astype(np.uint8)).save(folder / "grey.png")
    degrees = read_thermal(folder / "a.jpg").values
    np.savetxt(tmp_path / "a.csv", degrees + 0.5, delimiter=",")

    parser = ArgumentParser()
    camera_formats.add_arguments(parser)
    known = ["--known", str(folder / "a.jpg"), str(tmp_path / "a.csv")]
    text = camera_formats.run(parser.parse_args([str(folder), *known]))
    lines = text.splitlines()
    first, second, third = [line for line in lines if line.startswith(("a.jpg ", "broken", "grey"))]
    assert "degrees C" in first and " yes " in first and float(first.split()[-1]) > 0.99
    assert "is not an image that can be read" in second
    assert "counts" in third and float(third.split()[-1]) == pytest.approx(1.0)
    assert "a.jpg: 3072 temperatures, off by 0.5000 in the mean" in text

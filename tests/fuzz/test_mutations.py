"""Damaged files of every kind that is read: an error of one line or a result, never a traceback, a hang or a flood.

Each case is a seed: it chooses the file and what is done to it. The short run is part of the default tests; the long
one, of 10,000, is slow. Seconds are of the processor, so that a busy machine finds nothing that is not there.
"""

from __future__ import annotations

import io
import json
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

from ldfusion.errors import LDFusionError
from ldfusion.fusion.methods import load_seafusion
from ldfusion.io.exif import read_exif
from ldfusion.io.files import json_lines
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.io.video import VideoReader
from ldfusion.recipes import load as load_config
from ldfusion.weights import FOLDER

SECONDS = 10
GIGABYTES = 2.0
SHORT, LONG = 300, 10_000
FOUND: tuple[int, ...] = (507, 644, 1127, 1711, 3221, 6388, 7735)
"""Seeds that found something, since mended: Matroska files that FFmpeg fails to open in its own ways."""


class Sample(NamedTuple):
    """A sound file, and what reads it."""

    name: str
    data: bytes
    read: Callable[[Path], object]


def _image(path: Path) -> None:
    for read in (read_visible, read_infrared):
        try:
            read(path)
        except LDFusionError:
            pass
    read_exif(path)


def _video(path: Path) -> None:
    for modality in ("visible", "infrared"):
        with VideoReader(path, modality) as reader:
            for _, _frame in zip(range(20), reader.frames(), strict=False):
                pass


def _weights(path: Path) -> None:
    (path.parent / "config.json").write_bytes((FOLDER / "seafusion" / "config.json").read_bytes())
    load_seafusion(str(path.parent))


def _lines(path: Path) -> None:
    list(json_lines(path.read_text(encoding="utf-8", errors="replace"), path))


@pytest.fixture(scope="module")
def samples(
    camera_files: ModuleType,
    repository: Path,
    make_video: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Sample]:
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    counts = np.linspace(14686, 20688, 40 * 48).reshape(40, 48).astype(np.uint16)
    found = []

    def stored(name: str, image: np.ndarray, **options: object) -> None:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, name.rsplit(".", maxsplit=1)[-1].replace("jpg", "jpeg"), **options)
        found.append(Sample(name, buffer.getvalue(), _image))

    stored("a.png", rgb)
    stored("deep.png", counts)
    stored("palette.png", rgb[..., 0])
    stored("a.jpg", rgb, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
    stored("a.bmp", rgb)
    stored("a.webp", rgb)
    stored("lzw.tiff", rgb, compression="tiff_lzw")
    for name, values in (("deep.tif", counts), ("float.tif", counts.astype(np.float32)), ("rgb.tif", rgb)):
        tifffile.imwrite(folder / name, values, photometric="rgb" if values.ndim == 3 else "minisblack")
        found.append(Sample(name, (folder / name).read_bytes(), _image))
    for kind in ("raw", "png"):
        block = camera_files.fff_block(counts, rgb, kind=kind, photo_kind=("jpeg", "png")[kind == "png"])
        found.append(Sample(f"flir-{kind}.jpg", camera_files.flir_jpeg(block, rgb), _image))
    found.append(Sample("dji.jpg", camera_files.dji_jpeg(np.zeros((192, 256), np.uint16), rgb), _image))
    found.append(Sample("a.irg", camera_files.irg(np.zeros((40, 48), np.float32), rgb), _image))
    frames = rng.integers(0, 256, (6, 48, 64, 3), dtype=np.uint8)
    for name in ("a.mp4", "a.mkv"):
        found.append(Sample(name, make_video(folder / name, frames).read_bytes(), _video))
    weights = FOLDER / "seafusion" / "diffusion_pytorch_model.safetensors"
    found.append(Sample(weights.name, weights.read_bytes(), _weights))
    for config in sorted((repository / "configs").glob("*.yaml"))[:3]:
        found.append(Sample(config.name, config.read_bytes(), load_config))
    lines = "".join(json.dumps({"stem": f"{k}", "boxes": [[k, 2.5, None]], "text": "é"}) + "\n" for k in range(9))
    found.append(Sample("a.jsonl", lines.encode(), _lines))
    return found


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes of the kinds that disks, networks and enemies make."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not damaged:
            break
        # headers hold what is believed, so half of the changes meet the first bytes
        at = rng.randrange(min(len(damaged), 600) if rng.random() < 0.5 else len(damaged))
        length = rng.choice((1, 1, 2, 4, 16, 256))
        kind = rng.randrange(7)
        if kind == 0:
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            damaged[at : at + length] = rng.randbytes(min(length, len(damaged) - at))
        elif kind == 2:
            extreme = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
            )
            damaged[at : at + 4] = extreme
        elif kind == 3:
            del damaged[at:]
        elif kind == 4:
            del damaged[at : at + length]
        elif kind == 5:
            damaged[at:at] = damaged[at : at + length] * rng.choice((1, 3))
        else:
            other = rng.randrange(len(damaged))
            damaged[at : at + length] = damaged[other : other + length]
    return bytes(damaged)


@pytest.fixture
def alarm() -> Iterator[None]:
    """Stop what takes longer than it may."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGPROF, ring)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def check(seed: int, samples: list[Sample], folder: Path) -> str:
    """What is wrong with the case of a seed; empty where nothing is."""
    rng = random.Random(seed)
    sample = rng.choice(samples)
    path = folder / sample.name
    path.write_bytes(mutate(sample.data, rng))
    before = set(folder.iterdir()) | {folder / "config.json"}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problem = ""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        sample.read(path)
    except LDFusionError as error:
        if "\n" in str(error) or not str(error):
            problem = f"not one line: {str(error)!r}"
    except BaseException as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 2**20
    if grown > GIGABYTES:
        problem = problem or f"{grown:.1f} GB"
    left = set(folder.iterdir()) - before
    if left:
        problem = problem or f"left behind {sorted(left)}"
    path.unlink()
    return f"seed {seed}, {sample.name}: {problem}" if problem else ""


@pytest.mark.parametrize("part", range(3))
@pytest.mark.usefixtures("alarm")
def test_short(part: int, samples: list[Sample], tmp_path: Path) -> None:
    seeds = range(part * SHORT // 3, (part + 1) * SHORT // 3)
    assert [found for seed in (*seeds, *FOUND) if (found := check(seed, samples, tmp_path))] == []


@pytest.mark.slow
@pytest.mark.usefixtures("alarm")
def test_long(samples: list[Sample], tmp_path: Path) -> None:
    assert [found for seed in range(SHORT, LONG) if (found := check(seed, samples, tmp_path))] == []


def test_every_kind_is_read_when_it_is_sound(samples: list[Sample], tmp_path: Path) -> None:
    for sample in samples:
        path = tmp_path / sample.name
        path.write_bytes(sample.data)
        sample.read(path)
        path.unlink()
    assert {Path(sample.name).suffix for sample in samples} >= {".png", ".jpg", ".tif", ".mp4", ".yaml", ".jsonl"}

"""A tiny data set for all tests, written once per session."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the programs that tests launch
os.environ["COLUMNS"] = "80"  # help texts are as wide as the terminal

# Two threads would meet after every operation of these small networks, which takes longer than the operation; the
# second core has the second process of `pytest -n 2`.
torch.set_num_threads(1)
cv2.setNumThreads(1)

HEIGHT, WIDTH, PAIRS = 80, 96, 8


def _scene(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Visible (BGR), infrared, mask and inverse depth of a ground, a wall and one warm person left or right."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / np.array([HEIGHT, WIDTH]).reshape(2, 1, 1)
    depth = np.where(y > 0.5, 0.2 + 1.6 * (y - 0.5), 0.2)
    hue = rng.uniform(0.3, 1.0, 3)
    waves = 0.5 + 0.5 * np.sin(rng.uniform(20, 60) * x + rng.uniform(0, 6)) * np.cos(rng.uniform(20, 60) * y)
    visible = (0.25 + 0.5 * waves[..., None] * hue) * np.where(y > 0.5, 0.7, 1.0)[..., None]
    infrared = 0.3 + 0.2 * np.sin(9 * y + rng.uniform(0, 6)) * np.cos(7 * x)
    person = ((x - (0.25, 0.75)[side]) / 0.08) ** 2 + ((y - 0.55) / 0.22) ** 2 < 1
    visible[person] *= 0.4
    infrared[person], depth[person] = 0.9, 0.7
    noise = rng.normal(0, 0.02, (HEIGHT, WIDTH, 4))
    codes = (np.clip(np.dstack([visible, infrared]) + noise, 0, 1) * 255).round().astype(np.uint8)
    return codes[..., :3], codes[..., 3], np.where(person, 2, 0).astype(np.uint8), depth


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an accelerator where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="PyTorch finds no GPU on this machine"))


def pytest_collection_finish() -> None:
    """By now PyTorch and the like are imported: a million objects that stay, which each collection would look at."""
    gc.freeze()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Benchmarks set the number of threads for the rest of the process."""
    yield
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def device_guard() -> ModuleType:
    """The module ``tests/device_guard.py``."""
    return _module("device_guard")


@pytest.fixture(scope="session")
def camera_files() -> ModuleType:
    """The module ``tests/camera_files.py``: makers of small files as thermal cameras write them."""
    return _module("camera_files")


@pytest.fixture(params=["pretended", pytest.param("gpu", marks=pytest.mark.gpu)])
def accelerator(request: pytest.FixtureRequest, device_guard: ModuleType) -> Iterator[torch.device]:
    """Each test that asks for it runs on the pretended accelerator, and once more on a GPU where there is one."""
    if request.param == "gpu":
        yield torch.device("cuda")
    else:
        with device_guard.pretended_accelerator() as device:
            yield device


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the data set ``roadscene`` with 8 pairs of 96x80 pixels: splits (6 and 2), captions, masks, ``labels``.

    Each pair shows one warm person, left in the even and right in the odd ones, and says so in its captions.
    """
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    boxes: list[dict[str, object]] = []
    base, records = root / "roadscene", []
    for folder in ("visible", "infrared", "object_mask"):
        (base / folder).mkdir(parents=True)
    for modality in ("visible", "infrared"):
        (root / "labels" / "roadscene" / f"depth_{modality}").mkdir(parents=True)
    (root / "splits").mkdir()
    for k in range(PAIRS):
        stem, place, light = f"FLIR_{k:05d}", ("left", "right")[k % 2], ("day", "night")[k // 4]
        visible, infrared, mask, depth = _scene(rng, k % 2)
        for folder, image in (("visible", visible), ("infrared", infrared), ("object_mask", mask)):
            cv2.imwrite(str(base / folder / f"{stem}.png"), image)
        for modality, scale in (("visible", 3.0), ("infrared", 2.0)):
            label = cv2.resize(depth * scale, (126, 112)).astype(np.float16)
            np.save(root / "labels" / "roadscene" / f"depth_{modality}" / f"{stem}.npy", label)
        person = {"name": "person", "position": place, "distance": "near", "visible_in": "both", "thermal": "warm"}
        left, top = (0.17, 0.67)[k % 2] * WIDTH, 0.33 * HEIGHT
        xyxy = [left, top, left + 0.16 * WIDTH, top + 0.44 * HEIGHT]
        found = [{"modality": m, "name": "person", "score": 0.9, "xyxy": xyxy} for m in ("visible", "infrared")]
        boxes.append({"dataset": "roadscene", "stem": stem, "boxes": found})
        wall = {"name": "wall", "position": "center", "distance": "far", "visible_in": "both", "thermal": "cool"}
        records.append(
            {
                "dataset": "roadscene",
                "stem": stem,
                "light": light,
                "scene": f"yard with a person on the {place}",
                "objects": [person, wall],
                "captions": [
                    f"In a yard number {k} a person stands on the {place}, and a wall closes the view far behind.",
                    f"The person on the {place} is near and the wall behind is far away.",
                    f"The infrared shows the warm person on the {place}, the visible image adds the wall's colour.",
                ],
            }
        )
    names = [f"roadscene/{record['stem']}" for record in records]
    (root / "splits" / "train.txt").write_text("\n".join(names[:6]) + "\n")
    (root / "splits" / "val.txt").write_text("\n".join(names[6:]) + "\n")
    (root / "captions.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (root / "pseudo_boxes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in boxes))
    return root


@pytest.fixture(scope="session")
def real_pairs() -> Path:
    """The folder of real pairs that ``LDFUSION_DATA`` names; without it no test reads what is not in the repository."""
    if not (root := os.environ.get("LDFUSION_DATA", "")):
        pytest.skip("LDFUSION_DATA names no folder of real pairs")
    return Path(root)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds ``configs`` and ``scripts``."""
    return Path(__file__).resolve().parents[1]


Second = subprocess.Popen[str]


class Done(NamedTuple):
    """What a program left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_script(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Done]]:
    """Runs a script of ``scripts/`` with these words, in this process: starting Python and PyTorch takes seconds."""
    from accelerate.state import AcceleratorState, GradientState

    def run(name: str, *words: str) -> Done:
        monkeypatch.setattr(sys, "argv", [name, *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(repository / "scripts" / name), run_name="__main__")
        return Done(int(stop.value.code or 0), *capsys.readouterr())

    yield run
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def second_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AbstractContextManager[Second]]]:
    """Inside ``with second_process(*words) as other`` this process is the first of two, as ``torchrun`` starts them.

    The second is Python with these words. A launcher would cost two more starts of Python and PyTorch.
    """
    import torch.distributed
    from accelerate.state import AcceleratorState, GradientState

    def reset() -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    @contextmanager
    def start(*words: str) -> Iterator[Second]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for name, value in (both | {"RANK": "0", "LOCAL_RANK": "0"}).items():
            monkeypatch.setenv(name, value)
        reset()
        command, environment = [sys.executable, *words], os.environ | {"RANK": "1", "LOCAL_RANK": "1"}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as other:
            try:
                yield other
            finally:
                other.kill()  # it would wait for the first one

    yield start
    reset()


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


@pytest.fixture(scope="session")
def drawn_scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A registered pair, visible (1, 3, 240, 320) and infrared (1, 1, 240, 320): the same shapes, other brightness."""
    rng = np.random.default_rng(5)
    visible = np.full((240, 320, 3), 0.5, np.float32)
    infrared = np.full((240, 320), 0.4, np.float32)
    for k in range(70):
        x, y, w, h = (int(v) for v in rng.uniform((0, 0, 12, 12), (320, 240, 70, 60)))
        angle, colour, heat = rng.uniform(0, 180), rng.uniform(0, 1, 3).tolist(), float(rng.uniform(0, 1))
        shape = cv2.boxPoints(((x, y), (w, h), angle)).astype(np.int32)
        if k % 3:
            cv2.fillPoly(visible, [shape], colour)
            cv2.fillPoly(infrared, [shape], heat)
        else:
            cv2.ellipse(visible, (x, y), (w // 2, h // 2), angle, 0, 360, colour, -1)
            cv2.ellipse(infrared, (x, y), (w // 2, h // 2), angle, 0, 360, heat, -1)
    visible += rng.normal(0, 0.02, visible.shape).astype(np.float32)
    infrared = cv2.GaussianBlur(infrared, (0, 0), 1.2) + rng.normal(0, 0.02, infrared.shape).astype(np.float32)
    colour_first = torch.from_numpy(visible.transpose(2, 0, 1).copy())[None].clamp(0, 1)
    return colour_first, torch.from_numpy(infrared)[None, None].clamp(0, 1).float()


@contextmanager
def _small_files(limit: int = 1024) -> Iterator[int]:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_files() -> Callable[[], AbstractContextManager[int]]:
    """Inside ``with small_files() as limit`` no file grows beyond 1024 bytes, as on a disk with no room for more.

    A block, not the whole test: the test runner writes its own report to a file between the phases of a test.
    """
    return _small_files


def _make_video(
    path: Path,
    frames: np.ndarray,
    rate: int = 10,
    start: float = 0.0,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    audio: bool = False,
    rotation: int = 0,
) -> Path:
    import av

    grey = frames.ndim == 3
    source = ("gray16le" if frames.dtype == np.uint16 else "gray") if grey else "rgb24"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"g": "5"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=8000) if audio else None
        if rotation:
            stream.set_display_rotation(rotation)
        for index, values in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(values, format=source)
            frame.pts, frame.time_base = round(1000 * (start + index / rate)), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Writes a video: ``make_video(path, frames, rate, start, codec, pixels, audio, rotation)``.

    ``frames`` are uint8 (N, H, W, 3) or (N, H, W), or uint16 (N, H, W); the first is shown at ``start`` seconds; every
    fifth is a key frame.
    """
    return _make_video


@pytest.fixture(scope="session")
def triple() -> Callable[[str], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(fused, visible, infrared), (1, 1, 192, 208) each, of pairs that a formula defines: "arithmetic", "smooth"."""

    def make(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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

"""``scripts/train.py`` as a user starts it: killed and resumed, on two processes, and with mistakes."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file

STEPS = "train.steps=20"  # enough to be killed in between
FIGURES = [f"mse_t{t}" for t in (5, 50, 100, 500, 1000)]
pytestmark = pytest.mark.timeout(900)  # a launch takes some seconds, on a busy machine minutes


@pytest.fixture(scope="session")
def words(repository: Path, data_root: Path) -> list[str]:
    """Script and arguments of a tiny denoiser run."""
    return [
        str(repository / "scripts" / "train.py"),
        "--config",
        str(repository / "configs" / "tiny" / "denoiser.yaml"),
        f"data.root={data_root}",
        "train.tracker=none",
        STEPS,
    ]


def launch(words: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words, *more], capture_output=True, text=True, timeout=600, env=environment, check=False
    )


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """`accelerate` keeps its settings for the life of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="session")
def main(repository: Path) -> Callable[[list[str]], int]:
    spec = importlib.util.spec_from_file_location("train_script", repository / "scripts" / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Callable[[list[str]], int] = module.main
    return run


@pytest.fixture(scope="session")
def uninterrupted(main: Callable[[list[str]], int], words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run, in this process."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        assert main([*words[1:], f"output={folder}"]) == 0
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    # not a terminal: no progress bar, nothing but the figures
    assert err.getvalue() == ""
    assert [line.split(":")[0] for line in out.getvalue().splitlines()] == FIGURES
    return folder


def exported(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights" / "diffusion_pytorch_model.safetensors")


def test_killed_and_resumed_it_ends_with_the_very_same_weights(
    main: Callable[[list[str]], int],
    words: list[str],
    uninterrupted: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "killed"
    with subprocess.Popen(
        [sys.executable, *words, f"output={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as run:
        deadline = time.monotonic() + 600
        while not (folder / "checkpoints" / "step-00000004").exists() and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not (folder / "weights").exists()

    assert main([*words[1:], f"output={folder}"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("resumed from ") and err.count("\n") == 1
    assert [line.split(":")[0] for line in out.splitlines()] == FIGURES
    first, second = exported(uninterrupted), exported(folder)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert [p.name for p in sorted((folder / "checkpoints").iterdir())] == ["step-00000018", "step-00000020"]
    assert (folder / "metrics.jsonl").read_text() == (uninterrupted / "metrics.jsonl").read_text()


# both wait for each other in compiled code, which no signal interrupts
@pytest.mark.timeout(900, method="thread")
def test_two_processes_with_half_the_batch_each_match_one(
    main: Callable[[list[str]], int],
    words: list[str],
    uninterrupted: Path,
    tmp_path: Path,
    second_process: Callable[..., AbstractContextManager[subprocess.Popen[str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "two"
    with second_process(*words, f"output={folder}") as other:
        assert main([*words[1:], f"output={folder}"]) == 0
        others, errors = other.communicate(timeout=600)
    assert other.returncode == 0, errors
    first, second = exported(uninterrupted), exported(folder)
    assert max((value - second[name]).abs().max().item() for name, value in first.items()) < 1e-5
    one, two = ((path / "metrics.jsonl").read_text().splitlines() for path in (uninterrupted, folder))
    assert len(one) == len(two)
    # the figures are printed once, by the main process
    assert len(capsys.readouterr().out.splitlines()) == 5 and others == ""


def test_an_unknown_key_stops_with_the_nearest_known_one(words: list[str], tmp_path: Path) -> None:
    start = time.perf_counter()
    done = launch(words, f"output={tmp_path / 'run'}", "train.stepz=3")
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("train: ")
    assert "section 'train': unknown key 'stepz'; did you mean 'steps'?" in done.stderr
    assert not (tmp_path / "run").exists()
    assert time.perf_counter() - start < 60  # nothing heavy has been imported by then


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["optim.lr=fast"], "optim.lr"),
        (["train.steps=-1"], "train.steps=-1: must be 1 or more"),
        (["data.root=/nowhere"], "/nowhere: no such folder (data.root)"),
        (["stage=fusio"], "did you mean 'fusion'?"),
        (["nonsense"], "override 'nonsense': write it as section.key=value"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    main: Callable[[list[str]], int],
    words: list[str],
    more: list[str],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*words[1:], f"output={tmp_path / 'run'}", *more]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("train: ") and expected in err
    assert not (tmp_path / "run").exists()


def test_overrides_may_stand_on_both_sides_of_the_option(
    main: Callable[[list[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data.root=/nowhere", *words[1:3], "seed=1"]) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_the_configuration_must_be_named_and_there(
    main: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data.root=/nowhere"])
    assert stop.value.code == 2
    assert "--config" in capsys.readouterr().err
    assert main(["--config", str(tmp_path / "none.yaml")]) == 2
    assert "no such configuration file" in capsys.readouterr().err


@pytest.fixture(scope="session")
def fusion_words(repository: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Script and arguments of a tiny fusion run on untrained components."""
    from depth.network import DepthStudent
    from ldfusion.diffusion.denoiser import build_denoiser
    from ldfusion.language.text import TextEncoder

    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    size = {"widths": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "stem": 8, "head": 8, "working_size": 32}
    build_denoiser((8, 8, 8), groups=4).save_pretrained(folder / "denoiser")
    DepthStudent(3, **size).save_pretrained(folder / "depth_visible")
    DepthStudent(1, **size).save_pretrained(folder / "depth_infrared")
    TextEncoder(dim=16, width=16, heads=2, layers=1, merges="0-99").save_pretrained(folder / "text")
    return [
        str(repository / "scripts" / "train.py"),
        "--config",
        str(repository / "configs" / "tiny" / "fusion.yaml"),
        f"data.root={data_root}",
        f"data.labels={data_root / 'labels'}",
        "train.tracker=none",
        *(f"model.{name}={folder / name}" for name in ("denoiser", "depth_visible", "depth_infrared", "text")),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("features", ["diffusion", "plain"])
def test_two_processes_match_one_in_the_fusion_stage_too(
    fusion_words: list[str], features: str, tmp_path: Path
) -> None:
    """The sentences of a sample, wrong ones included, must not depend on the process; no weight may go unused."""
    # a small rate: Adam turns the rounding of a gradient near zero into a whole step
    more = [f"model.features={features}", "sample.wrong=0.5", "optim.lr=1e-4"]
    one = launch(fusion_words, *more, f"output={tmp_path / 'one'}")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    two = launch([*torchrun, *fusion_words], *more, f"output={tmp_path / 'two'}")
    assert one.returncode == two.returncode == 0, one.stderr + two.stderr
    for part in ("decoder", "denoiser"):
        first, second = (
            load_file(tmp_path / run / "weights" / part / "diffusion_pytorch_model.safetensors")
            for run in ("one", "two")
        )
        assert max((value - second[name]).abs().max().item() for name, value in first.items()) < 1e-5, part


@pytest.mark.slow
def test_accelerate_launch_on_the_cpu(words: list[str], uninterrupted: Path, repository: Path, tmp_path: Path) -> None:
    config = ["--config_file", str(repository / "configs" / "accelerate" / "cpu.yaml")]
    done = launch(["-m", "accelerate.commands.launch", *config, *words], f"output={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    first, second = exported(uninterrupted), exported(tmp_path / "run")
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_phases_are_trained_in_turn_each_from_the_one_before(
    main: Callable[[list[str]], int],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, data = Path(words[2]), words[3]
    text = config.read_text(encoding="utf-8")
    (tmp_path / "one.yaml").write_text(text.replace("runs/tiny/denoiser", "runs/one"), encoding="utf-8")
    later = text.replace("runs/tiny/denoiser", "runs/two").replace("train: {", "train: {init: runs/one/weights, ")
    (tmp_path / "two.yaml").write_text(later, encoding="utf-8")
    phases = ["--config", "one.yaml", "--config", "two.yaml"]
    monkeypatch.chdir(tmp_path)
    assert main([*phases, data, "train.tracker=none", "train.steps=2", "optim.lr=1e-9", "optim.ema=0"]) == 0
    first, second = (exported(tmp_path / "runs" / name) for name in ("one", "two"))
    # with such a learning rate nothing moves: the second has what the first began with
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    assert sum(line.startswith("mse_t5:") for line in capsys.readouterr().out.splitlines()) == 1

"""``scripts/embed.py``: rounding and the mean of several runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ldfusion.fusion.decoder import FusionDecoder
from ldfusion.fusion.grid import AXES, COEFFICIENTS

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of two runs of one decoder and of another network."""
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second", "other")]
    for seed, (folder, width) in enumerate(zip(folders, (4, 4, 6), strict=True)):
        torch.manual_seed(seed)
        FusionDecoder((4,), 1, (width,), nodes=2, text_dim=0, hidden=4).save_pretrained(folder)
    return folders


def test_the_mean_of_runs_is_stored_in_half_precision(
    run_script: Callable[..., Any], runs: list[Path], tmp_path: Path
) -> None:
    done = run_script("embed.py", *map(str, (runs[0], runs[1], runs[1], "-o", tmp_path)))
    assert done.returncode == 0, done.stderr
    first, second, mean = (load_file(folder / FILE) for folder in (*runs[:2], tmp_path))
    for name, value in mean.items():
        assert value.dtype == torch.float16
        assert torch.allclose(value.float(), (first[name] + 2 * second[name]) / 3, atol=1e-3), name
    assert isinstance(FusionDecoder.from_pretrained(tmp_path, use_safetensors=True), FusionDecoder)


def test_shares_and_a_contrast_of_a_decoder(run_script: Callable[..., Any], runs: list[Path], tmp_path: Path) -> None:
    words = (*runs[:2], "--share", 3, 1, "--contrast", 1.1, 1.5, "-o", tmp_path)
    done = run_script("embed.py", *map(str, words))
    assert done.returncode == 0, done.stderr
    first, second, mean = (load_file(folder / FILE) for folder in (*runs[:2], tmp_path))
    bias = (0.75 * first["head.bias"] + 0.25 * second["head.bias"]).view(AXES, COEFFICIENTS, 2)
    gains = torch.tensor([1.1, 1.1, 1.1, 1.1, *[1.65] * 6, 1.0])
    expected = gains[:, None] * bias
    expected[:, 0] -= 0.1 * 0.3 / AXES
    assert torch.allclose(mean["head.bias"].float(), expected.flatten(), atol=2e-3)
    assert torch.allclose(
        mean["token.0.bias"].float(), 0.75 * first["token.0.bias"] + 0.25 * second["token.0.bias"], atol=1e-3
    )


def test_shares_that_do_not_fit_are_refused(run_script: Callable[..., Any], runs: list[Path], tmp_path: Path) -> None:
    done = run_script("embed.py", *map(str, (*runs[:2], "--share", 1, "-o", tmp_path / "out")))
    assert done.returncode == 2 and done.stderr.startswith("embed: --share: [1.0] for 2 networks")
    assert not (tmp_path / "out").exists()


def test_different_networks_and_a_folder_without_one_are_refused(
    run_script: Callable[..., Any], runs: list[Path], tmp_path: Path
) -> None:
    done = run_script("embed.py", *map(str, (runs[0], runs[2], "-o", tmp_path / "out")))
    assert (done.returncode, done.stderr) == (2, "embed: these are different networks; give runs of one\n")
    done = run_script("embed.py", *map(str, (runs[0], tmp_path, "-o", tmp_path / "out")))
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr
    assert not (tmp_path / "out").exists()

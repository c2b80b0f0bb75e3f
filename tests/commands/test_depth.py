from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depth.files import read_depth
from ldfusion.cli import main


def words(images: list[Path], out: Path, weights: str, *more: str) -> list[str]:
    return ["depth", *map(str, images), "-o", str(out), "--weights", weights, "--device", "cpu", *more]


@pytest.mark.parametrize("modality", ["visible", "infrared", "fused"])
def test_files_of_a_folder(modality: str, pairs: Path, weights: str, tmp_path: Path) -> None:
    folder = pairs / ("infrared" if modality == "infrared" else "visible")
    assert main(words([folder], tmp_path / "out", weights, "--modality", modality)) == 0
    names = {f"{name}{ending}" for name in "abc" for ending in (".npy", ".png", "_color.png")}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names
    values = np.load(tmp_path / "out" / "a.npy")
    assert (values.dtype, values.shape) == (np.float32, (37, 45))
    assert values.min() >= 0
    stored, metric = read_depth(tmp_path / "out" / "a.png")
    assert not metric
    assert np.allclose(stored[0].numpy(), values, atol=values.max() / 30000)


def test_modalities_are_different_networks(pairs: Path, weights: str, tmp_path: Path) -> None:
    image = pairs / "infrared" / "a.png"
    for modality in ("visible", "infrared"):
        assert main(words([image], tmp_path / modality, weights, "--modality", modality)) == 0
    one, two = (np.load(tmp_path / modality / "a.npy") for modality in ("visible", "infrared"))
    assert np.abs(one - two).max() > 1e-3


def test_point_cloud_follows_the_field_of_view(pairs: Path, weights: str, tmp_path: Path) -> None:
    spreads = []
    for degrees in ("30", "90"):
        out = tmp_path / degrees
        assert main(words([pairs / "visible" / "a.png"], out, weights, "--point-cloud", "--fov", degrees)) == 0
        header, _, body = (out / "a.ply").read_bytes().partition(b"end_header\n")
        assert b"unit: none (relative)" in header
        points = np.frombuffer(body, dtype=[("xyz", "<f4", 3), ("rgb", "u1", 3)])["xyz"]
        assert 0 < len(points) <= 37 * 45
        spreads.append(np.abs(points[:, 0] / points[:, 2]).max())
    assert spreads[0] == pytest.approx(np.tan(np.radians(15)), rel=0.1)
    assert spreads[1] == pytest.approx(np.tan(np.radians(45)), rel=0.1)


def test_results_are_kept_until_overwritten(
    pairs: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.npy").write_bytes(b"mine")
    assert main(words([pairs / "visible"], out, weights)) == 0
    assert (out / "a.npy").read_bytes() == b"mine"
    capsys.readouterr()
    assert main(words([pairs / "visible"], out, weights)) == 0
    line = f"ldfusion: 0 estimated, 3 kept from before (--overwrite makes them anew); results in {out}\n"
    assert capsys.readouterr().err == line
    assert main(words([pairs / "visible"], out, weights, "--overwrite")) == 0
    assert np.load(out / "a.npy").shape == (37, 45)


def test_one_line_for_each_bad_image_and_the_others_are_done(
    pairs: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(tiny)
    images = [tmp_path / "missing.png", tiny, pairs / "visible" / "a.png"]
    assert main(words(images, tmp_path / "out", weights)) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == f"ldfusion: error: {tmp_path / 'missing.png'}: no such file or folder"
    assert str(tiny) in second
    assert last == f"ldfusion: 1 estimated, 1 failed; results in {tmp_path / 'out'}"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a.npy", "a.png", "a_color.png"}


def test_a_full_disk(
    pairs: Path,
    weights: str,
    tmp_path: Path,
    small_files: Callable[[], AbstractContextManager[int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with small_files():
        assert main(words([pairs / "visible"], out, weights)) == 1
    err, last = capsys.readouterr().err.splitlines()
    assert err.startswith(f"ldfusion: error: cannot write {out / 'a.'}") and "3 images are not done" in err
    assert last == f"ldfusion: 0 estimated, 3 failed; results in {out}"
    assert not out.exists()


def test_wrong_usage_stops_before_any_work(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visible, infrared, out = (str(pairs / name) for name in ("visible", "infrared", "out"))
    for given, part in [
        ([str(pairs / "missing"), "-o", out], "missing: no such file or folder"),
        ([visible, "-o", out, "--fov", "50"], "add --point-cloud"),
        ([visible, infrared, "-o", out], "have the same name"),
        ([visible, "-o", f"{visible}/a.png"], "is a file; give a folder"),
    ]:
        assert main(["depth", *given]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and part in err
    assert not (pairs / "out").exists()


def test_a_range_is_for_infrared_images(
    pairs: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [pairs / "infrared" / "a.png"]
    assert main(words(images, tmp_path / "out", weights, "--range", "0", "128")) == 2
    assert "--range is for infrared images; add --modality infrared" in capsys.readouterr().err
    depths = []
    for name, more in (("plain", []), ("ranged", ["--range", "0", "128"])):
        assert main(words(images, tmp_path / name, weights, "--modality", "infrared", *more)) == 0
        depths.append(np.load(tmp_path / name / "a.npy"))
    assert not np.array_equal(*depths)

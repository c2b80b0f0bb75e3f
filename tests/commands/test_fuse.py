from __future__ import annotations

import json
import struct
import subprocess
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from depth.files import read_depth
from ldfusion.cli import main
from ldfusion.commands import options
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.tone import TONES
from ldfusion.loading import load_pair
from ldfusion.output import result_files


def words(pairs: Path, weights: str, *more: str) -> list[str]:
    folders = [str(pairs / side) for side in ("visible", "infrared")]
    return ["fuse", *folders, "-o", str(pairs / "out"), "--weights", weights, "--device", "cpu", *more]


def captions(pairs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (pairs / "out" / "captions.jsonl").read_text().splitlines()]


def tree(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def expected_files(*names: str) -> set[str]:
    return {"captions.jsonl", "run.json", *(str(file) for name in names for file in result_files(name, True))}


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_every_result_of_a_folder(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(pairs, weights, "--prompt", "a person near a street", "--seed", "7")) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"ldfusion: 3 fused; results in {pairs / 'out'}"
    assert set(tree(pairs / "out")) == expected_files("a", "b", "c")
    for name in "abc":
        with Image.open(pairs / "out" / "fused" / f"{name}.png") as fused:
            assert (fused.mode, fused.size) == ("RGB", (45, 37))
        values = np.load(pairs / "out" / "depth" / f"{name}.npy")
        assert (values.dtype, values.shape) == (np.float32, (37, 45))
        stored, metric = read_depth(pairs / "out" / "depth" / f"{name}.png")
        assert not metric
        assert np.allclose(stored[0].numpy(), values, atol=values.max() / 30000)
        with Image.open(pairs / "out" / "panels" / f"{name}.png") as panel:
            assert panel.width > 4 * 45
    lines = captions(pairs)
    assert [line["name"] for line in lines] == ["a", "b", "c"]
    for line in lines:
        assert set(line) == {"name", "method", "caption", "prompt", "seed", "weights"}
        assert line["method"] == "ldfusion"
        assert (line["prompt"], line["seed"], line["weights"]) == ("a person near a street", 7, weights)
        assert line["caption"]


@pytest.mark.parametrize(
    ("method", "more"),
    [("alpha", ["--alpha", "0.6"]), *((name, []) for name in ("laplacian", "zero-learning", "maximum-stretched"))],
)
def test_other_methods_write_image_panel_and_line(
    method: str, more: list[str], pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fuse", str(pairs / "visible"), str(pairs / "infrared"), "-o", str(pairs / "out"), "--device", "cpu"]
    assert main([*command, "--method", method, *more]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"ldfusion: 3 fused; results in {pairs / 'out'}"
    files = tree(pairs / "out")
    assert set(files) == {
        "captions.jsonl",
        "run.json",
        *(f"{part}/{name}.png" for part in ("fused", "panels") for name in "abc"),
    }
    line = {"name": "a", "method": method} | ({"alpha": 0.6} if more else {})
    assert captions(pairs)[0] == line

    fuse = load_method(method, alpha=0.6 if more else None).fuse
    pair = load_pair(pairs / "visible" / "b.png", pairs / "infrared" / "b.png")
    expected = (fuse(pair.visible, pair.infrared)[0] * 255).permute(1, 2, 0).numpy()
    with Image.open(pairs / "out" / "fused" / "b.png") as fused:
        assert np.abs(np.asarray(fused) - expected).max() <= 0.51
    with Image.open(pairs / "out" / "panels" / "b.png") as panel:
        assert panel.width > 3 * 45

    assert main([*command, "--method", method, *more]) == 0
    assert "0 fused, 3 kept from before" in capsys.readouterr().err
    assert tree(pairs / "out") == files


def test_methods_are_not_mixed_in_one_folder(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    mean = ["fuse", str(pairs / "visible"), str(pairs / "infrared"), "-o", str(pairs / "out"), "--method", "mean"]
    assert main(words(pairs, weights)) == 0
    before = tree(pairs / "out")
    capsys.readouterr()
    assert main(mean) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "holds results of the method 'ldfusion' for 3 of these pairs (a ...)" in err
    assert tree(pairs / "out") == before
    assert main([*mean, "--overwrite"]) == 0
    # depth and captions of the earlier method are gone with it
    assert captions(pairs) == [{"name": name, "method": "mean"} for name in "abc"]
    assert not list((pairs / "out" / "depth").iterdir())
    (pairs / "visible" / "b.png").unlink()  # the pairs that are not asked for do not matter
    (pairs / "out" / "captions.jsonl").write_text('{"name": "b", "method": "alpha"}\n')
    assert main(mean) == 0
    assert [line["name"] for line in captions(pairs)] == ["a", "b", "c"]


def test_options_of_another_method_are_refused(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["fuse", str(pairs / "visible"), str(pairs / "infrared"), "-o", str(pairs / "out")]
    cases = [
        (["--alpha", "0.5"], "--alpha is for the methods alpha and zero-learning, not for 'ldfusion'"),
        (
            ["--method", "mean", "--prompt", "people"],
            "--prompt is for the methods ldfusion, realtime and realtime-tiny, not",
        ),
        (
            ["--method", "mean", "--weights", "x"],
            "--weights is for the methods ldfusion, realtime, realtime-tiny, seafusion and zero-learning, not",
        ),
        (
            ["--method", "mean", "--tone", "bright"],
            "--tone is for the methods ldfusion, realtime and realtime-tiny, not",
        ),
        (["--method", "mean", "--timesteps", "5"], "--timesteps is for the method 'ldfusion', not for 'mean'"),
    ]
    for more, line in cases:
        assert main([*base, *more]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"ldfusion: error: {line}") and err.count("\n") == 1
    assert not (pairs / "out").exists()


def test_the_tones_of_the_command_are_those_of_the_library() -> None:
    assert options.TONES == tuple(TONES)


def test_own_options_and_weights_reach_the_method(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["fuse", str(pairs / "visible"), str(pairs / "infrared"), "-o", str(pairs / "out"), "--method"]
    assert main([*base, "laplacian", "--set", "levels=2"]) == 0
    fuse = load_method("laplacian", levels=2).fuse
    pair = load_pair(pairs / "visible" / "b.png", pairs / "infrared" / "b.png")
    expected = (fuse(pair.visible, pair.infrared)[0] * 255).permute(1, 2, 0).numpy()
    with Image.open(pairs / "out" / "fused" / "b.png") as fused:
        assert np.abs(np.asarray(fused) - expected).max() <= 0.51
    capsys.readouterr()
    for more, line in (
        (["laplacian", "--set", "level=2"], "fusion method 'laplacian': unknown key 'level'; did you mean 'levels'?"),
        (["laplacian", "--set", "levels=2", "--set", "levels=3"], "--set: 'levels' is given twice"),
        (["seafusion", "--weights", str(pairs / "visible")], f"{pairs / 'visible'}: no config.json there; give"),
        (["no.such:Method"], "fusion method 'no.such:Method': No module named 'no'"),
    ):
        assert main([*base, *more, "--overwrite"]) == 2
        assert line in capsys.readouterr().err


def test_a_tone_reaches_the_picture(pairs: Path, weights: str) -> None:
    out = pairs / "out" / "fused" / "a.png"
    assert main(words(pairs, weights)) == 0
    natural = out.read_bytes()
    assert main(words(pairs, weights, "--overwrite", "--tone", "natural")) == 0
    assert out.read_bytes() == natural
    assert main(words(pairs, weights, "--overwrite", "--tone", "bright")) == 0
    assert out.read_bytes() != natural


def test_results_are_kept_until_overwritten(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = pairs / "out" / "fused" / "b.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"somebody's own picture")
    assert main(words(pairs, weights)) == 0
    assert own.read_bytes() == b"somebody's own picture"
    first = tree(pairs / "out")
    assert set(first) == expected_files("a", "b", "c")

    capsys.readouterr()
    assert main(words(pairs, weights, "--prompt", "something else", "--seed", "1")) == 2
    assert "holds results made with prompt none, not 'something else'; give another folder" in capsys.readouterr().err
    assert tree(pairs / "out") == first
    assert main(words(pairs, weights)) == 0
    assert capsys.readouterr().err.startswith("ldfusion: 0 fused, 3 kept from before (--overwrite makes them anew); ")
    assert tree(pairs / "out") == first

    (pairs / "out" / "panels" / "a.png").unlink()
    assert main(words(pairs, weights)) == 0
    assert capsys.readouterr().err.startswith("ldfusion: 1 fused, 2 kept from before")
    assert tree(pairs / "out") == first

    assert main(words(pairs, weights, "--overwrite", "--prompt", "a street")) == 0
    assert own.read_bytes() != b"somebody's own picture"
    assert [line["prompt"] for line in captions(pairs)] == ["a street"] * 3


def test_one_line_for_each_bad_pair_and_the_others_are_done(
    pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = (pairs / "visible" / "a.png").read_bytes()
    bad = {
        "empty": b"",
        "text": b"this is no image",
        "cut": good[: len(good) // 2],
        "bomb": png_header(100_000, 100_000),
    }
    for name, content in bad.items():
        (pairs / "visible" / f"{name}.png").write_bytes(content)
        (pairs / "infrared" / f"{name}.png").write_bytes(good)
    Image.new("L", (1, 1)).save(pairs / "infrared" / "b.png")
    broken = np.full((37, 45), np.nan, np.float32)
    (pairs / "infrared" / "c.png").unlink()
    tifffile.imwrite(pairs / "infrared" / "c.tiff", broken)

    assert main(words(pairs, weights)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ldfusion: error: ")]
    files = [
        "infrared/b.png",
        "visible/bomb.png",
        "infrared/c.tiff",
        "visible/cut.png",
        "visible/empty.png",
        "visible/text.png",
    ]
    assert len(lines) == len(files)
    for line, file in zip(lines, files, strict=True):
        assert str(pairs / file) in line
    assert set(tree(pairs / "out")) == expected_files("a")
    assert [line["name"] for line in captions(pairs)] == ["a"]


def test_names_without_a_partner_are_told(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs / "visible" / "a.png").rename(pairs / "visible" / "lonely.png")
    (pairs / "infrared" / "b.png").unlink()
    assert main(words(pairs, weights)) == 0
    first, second = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert first.endswith(": b, lonely") and "visible" in first
    assert second.endswith(": a") and "infrared" in second
    assert set(tree(pairs / "out")) == expected_files("c")


def test_a_full_disk_stops_with_one_line_and_leaves_nothing(
    pairs: Path,
    weights: str,
    small_files: Callable[[], AbstractContextManager[int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with small_files():
        assert main(words(pairs, weights)) == 1
    first, last = [line for line in capsys.readouterr().err.splitlines() if "'" not in line]
    assert first.startswith(f"ldfusion: error: cannot write {pairs / 'out' / 'fused' / 'a.png'}: ")
    assert first.endswith("; stopped, 3 pairs are not done")
    assert last == f"ldfusion: 0 fused, 3 failed; results in {pairs / 'out'}"
    assert not (pairs / "out").exists()


def test_wrong_usage_stops_before_any_work(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pairs / "nothing").mkdir()
    (pairs / "others").mkdir()
    (pairs / "others" / "z.png").write_bytes(b"")
    visible, infrared, out = (str(pairs / name) for name in ("visible", "infrared", "out"))
    image = f"{visible}/a.png"
    cases = [
        ([visible, str(pairs / "missing"), "-o", out], "missing: no such file or folder"),
        ([image, infrared, "-o", out], "give two files or two folders"),
        ([visible, str(pairs / "nothing"), "-o", out], "holds no image"),
        ([visible, str(pairs / "others"), "-o", out], "give both images of a pair the same name"),
        ([visible, infrared, "-o", image], "is a file; give a folder"),
        ([visible, infrared, "-o", f"{image}/below"], "is a file; give a folder"),
    ]
    if Path("/proc/self").exists():  # a place where nobody may write, the administrator neither
        cases.append(([visible, infrared, "-o", "/proc/ldfusion"], "cannot be written"))
    for given, part in cases:
        assert main(["fuse", *given]) == 2
        out_text, err = capsys.readouterr()
        assert out_text == "" and err.count("\n") == 1 and part in err
    assert not (pairs / "out").exists()


def test_guidance_that_the_weights_cannot_use(pairs: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(pairs, weights, "--timesteps", "5,50,100000")) == 2
    assert capsys.readouterr().err == "ldfusion: error: timesteps: 100000 is outside 1..2000\n"
    assert not (pairs / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", ["fuse", "register", "depth", "segment", "demo", "video"])
def test_a_gpu_that_is_not_there_leaves_nothing(
    command: str, pairs: Path, make_video: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(pairs / "visible"), str(pairs / "infrared")]
    if command == "video":
        given = [str(make_video(pairs / "a.mp4", np.zeros((3, 48, 64, 3), np.uint8)))] * 2
    number = {"depth": 1, "segment": 1, "demo": 0}.get(command, 2)
    target = pairs / "deep" / ("out" + ".mp4" * (command == "video"))
    before = sorted(pairs.rglob("*"))
    assert main([command, *given[:number], "-o", str(target), "--device", "cuda"]) == 2
    assert "--device cuda: torch sees no CUDA device here" in capsys.readouterr().err
    assert sorted(pairs.rglob("*")) == before


def test_weights_that_are_not_there(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(pairs, str(pairs / "visible"))) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no model_index.json there" in err


# both wait for each other in compiled code, which no signal interrupts
@pytest.mark.timeout(900, method="thread")
def test_two_processes_share_a_folder(
    pairs: Path,
    weights: str,
    second_process: Callable[..., AbstractContextManager[subprocess.Popen[str]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(words(pairs, weights)) == 0
    (pairs / "out").rename(pairs / "alone")
    (pairs / "visible" / "d.png").write_bytes(b"no image")
    (pairs / "infrared" / "d.png").write_bytes(b"no image")
    capsys.readouterr()
    with second_process("-m", "ldfusion.cli", *words(pairs, weights)) as other:
        assert main(words(pairs, weights)) == 1
        _, said_by_the_other = other.communicate(timeout=600)
    assert other.returncode == 0  # the first process speaks, and ends, for all
    assert "ldfusion: 3 fused, 1 failed; " in capsys.readouterr().err
    assert "3 fused" not in said_by_the_other and "d.png is not an image" in said_by_the_other  # the fourth is its
    assert set(tree(pairs / "out")) == expected_files("a", "b", "c")
    assert (pairs / "out" / "captions.jsonl").read_bytes() == (pairs / "alone" / "captions.jsonl").read_bytes()
    for name in "abc":
        one, two = (np.asarray(Image.open(pairs / out / "fused" / f"{name}.png")) for out in ("alone", "out"))
        assert np.abs(one.astype(int) - two).max() <= 1

"""``prepare_data.py align`` as a user starts it, on a small set whose infrared images lie beside the visible ones."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_labels
from ldfusion.registration.datasets import ESTIMATES

OFF = (3, -2)
"""Pixels (x, y) by which the content of an infrared image lies off its visible one."""
HEIGHT, WIDTH, PAIRS = 112, 144, 8
DRAWN_ON_INFRARED = 3
"""The pair whose mask lies on its infrared image; those of the others lie on the visible one."""


@pytest.fixture(scope="module")
def align(repository: Path) -> Callable[..., int]:
    spec = importlib.util.spec_from_file_location("prepare_data", repository / "scripts" / "prepare_data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(data: Path, output: Path, *more: str) -> int:
        return int(module.main(["align", "--data", str(data), "-o", str(output), "--datasets", "msrs", *more]))

    return run


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Polygons with a grey value of their own in either sensor, 20 pixels larger than a frame."""
    images = np.full((2, HEIGHT + 20, WIDTH + 20), 0.5, np.float32)
    for _ in range(50):
        centre = rng.uniform(0, 1, 2) * (WIDTH + 20, HEIGHT + 20)
        points = (centre + rng.uniform(-20, 20, (4, 2))).astype(np.int32)
        for image in images:
            cv2.fillConvexPoly(image, cv2.convexHull(points), float(rng.uniform(0.15, 0.95)), lineType=cv2.LINE_AA)
    images[:, 50:90, 70:90] = np.array([0.0, 1.0]).reshape(2, 1, 1)  # a person
    return images[0], images[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pool") / "data"
    for folder in ("visible", "infrared", "labels"):
        (root / "msrs" / folder).mkdir(parents=True)
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("msrs/00000D\n")
    (root / "roadscene" / "visible").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(PAIRS):
        visible, infrared = scene(rng)
        x, y = 10 - OFF[0], 10 - OFF[1]
        person = np.zeros_like(visible)
        person[50:90, 70:90] = 2 / 255
        left, top = (x, y) if k == DRAWN_ON_INFRARED else (10, 10)
        images = {
            "visible": np.repeat(visible[10:-10, 10:-10, None], 3, axis=2),
            "infrared": infrared[y : y + HEIGHT, x : x + WIDTH],
            "labels": person[top : top + HEIGHT, left : left + WIDTH],
        }
        for folder, image in images.items():
            codes = (image * 255).round().astype(np.uint8)
            cv2.imwrite(str(root / "msrs" / folder / f"{k:05d}D.png"), codes)
            if folder == "infrared":
                truth = (infrared[10:-10, 10:-10] * 255).round().astype(np.uint8)
                (root / "truth").mkdir(exist_ok=True)
                cv2.imwrite(str(root / "truth" / f"{k:05d}D.png"), truth)
    return root


@pytest.fixture(scope="module")
def aligned(align: Callable[..., int], data: Path) -> Path:
    """The output of one run."""
    out = data.parent / "aligned"
    assert align(data, out) == 0
    return out


def error(folder: Path, truth: Path) -> float:
    """Mean grey levels off the truth, 12 pixels inside the frame."""
    differences = []
    for file in sorted(truth.iterdir()):
        images = [cv2.imread(str(place / file.name), cv2.IMREAD_GRAYSCALE).astype(float) for place in (folder, truth)]
        differences.append(np.abs(images[0] - images[1])[12:-12, 12:-12].mean())
    return float(np.mean(differences))


def test_the_infrared_images_move_onto_the_visible_ones(
    aligned: Path, align: Callable[..., int], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = aligned
    before, after = error(data / "msrs" / "infrared", data / "truth"), error(out / "msrs" / "infrared", data / "truth")
    assert after < 0.25 * before
    # everything else is there as before, the data are untouched
    assert [pair.name for pair in select_pairs(out, ["msrs"], "splits/train.txt")] == ["msrs/00000D"]
    # masks lie where the visible images show the person
    for k in range(PAIRS):
        before, after = (read_labels(root / "msrs" / "labels" / f"{k:05d}D.png") for root in (data, out))
        assert int((after == 2).sum()) == 40 * 20 and (after[40:80, 60:80] == 2).all()
        assert torch.equal(before, after) == (k != DRAWN_ON_INFRARED)
    assert (out / "roadscene" / "visible").is_dir() and not (data / "msrs" / ESTIMATES).exists()
    found = json.loads((out / "msrs" / ESTIMATES).read_text())
    assert found["size"] == [HEIGHT, WIDTH] and len(found["pairs"]) == PAIRS
    assert {"shift", "believed", "halves", "labels_moved"} == found["pairs"]["msrs/00000D"].keys()
    assert [pair["labels_moved"] for pair in found["pairs"].values()] == [
        int(k == DRAWN_ON_INFRARED) for k in range(PAIRS)
    ]
    # at the centre of the frame the polynomial is its constant
    assert found["coefficients"][0] == pytest.approx(OFF, abs=0.5)


def test_a_run_goes_on_where_it_stopped(
    aligned: Path, align: Callable[..., int], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "aligned"
    shutil.copytree(aligned, out, symlinks=True)
    images = out / "msrs" / "infrared"
    whole = {file.name: file.read_bytes() for file in images.iterdir()}
    (images / "00002D.png").unlink()
    (out / "msrs" / "labels" / "00001D.png").unlink()
    (images / "00004D.png").write_bytes(b"kept")
    estimates = (out / "msrs" / ESTIMATES).read_text()
    assert align(data, out) == 0
    assert "msrs: 8 pairs aligned" in capsys.readouterr().out
    assert (images / "00002D.png").read_bytes() == whole["00002D.png"]
    assert (out / "msrs" / "labels" / "00001D.png").is_file()
    assert (images / "00004D.png").read_bytes() == b"kept"
    assert (out / "msrs" / ESTIMATES).read_text() == estimates


def test_mistakes_are_one_line(
    align: Callable[..., int], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def complaint(code: int) -> str:
        lines = capsys.readouterr().err.strip().splitlines()
        assert code == 2
        return lines[-1]

    assert "give another folder" in complaint(align(data, data))
    assert "no such folder" in complaint(align(tmp_path / "nowhere", tmp_path / "out"))
    few = tmp_path / "few"
    shutil.copytree(data, few)
    for k in range(2, PAIRS):
        (few / "msrs" / "visible" / f"{k:05d}D.png").unlink()
    assert "2 pairs; to tell what a rig gets wrong needs at least 8" in complaint(align(few, tmp_path / "out"))
    (out := tmp_path / "other").mkdir()
    (out / "msrs").mkdir()
    (out / "msrs" / ESTIMATES).write_text(
        '{"names": ["msrs/1"], "size": [1, 2], "coefficients": [[0, 0]], "pairs": {}}'
    )
    assert "of other pairs" in complaint(align(data, out))
    (out / "msrs" / ESTIMATES).write_text("{")
    assert "not the estimates of an alignment" in complaint(align(data, out))
    sizes = tmp_path / "sizes"
    shutil.copytree(data, sizes)
    cv2.imwrite(str(sizes / "msrs/visible/00001D.png"), cv2.imread(str(sizes / "msrs/visible/00001D.png"))[:-2])
    assert "one rig has one size" in complaint(align(sizes, tmp_path / "out"))


def test_an_infrared_image_of_another_size(align: Callable[..., int], data: Path, tmp_path: Path) -> None:
    """Half the resolution: sampled from the stored pixels, onto the visible grid."""
    half = tmp_path / "half"
    shutil.copytree(data, half)
    for file in (half / "msrs" / "infrared").iterdir():
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(file), cv2.resize(image, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA))
    out = tmp_path / "aligned"
    assert align(half, out) == 0
    assert error(out / "msrs" / "infrared", data / "truth") < 8


def test_beyond_the_infrared_frame_the_visible_luma_stands_in(aligned: Path, data: Path) -> None:
    moved = cv2.imread(str(aligned / "msrs/infrared/00000D.png"), cv2.IMREAD_GRAYSCALE).astype(int)
    visible = cv2.imread(str(data / "msrs/visible/00000D.png"), cv2.IMREAD_GRAYSCALE).astype(int)
    edge = np.s_[20:-20, -1]  # the content moves to the left by 3 pixels
    assert np.abs(moved - visible)[edge].mean() < 2

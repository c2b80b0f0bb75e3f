from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.cli import main
from ldfusion.segmentation import SegmentationNetwork


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """An untrained network of three classes of its own."""
    torch.manual_seed(0)
    SegmentationNetwork(
        ["nothing", "thing", "human"], options={"channels": [8, 8, 16, 16]}, width=16, auxiliary=8
    ).save_pretrained(tmp_path / "network")
    return tmp_path / "network"


def words(images: list[Path], out: Path, network: Path, *more: str) -> list[str]:
    return ["segment", *map(str, images), "-o", str(out), "--weights", str(network), "--device", "cpu", *more]


@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_files_of_a_folder(modality: str, pairs: Path, network: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words([pairs / modality], out, network, "--modality", modality)) == 0
    found = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert found == {"legend.png", "legend.json"} | {f"{f}/{n}.png" for f in ("labels", "overlay") for n in "abc"}
    labels = cv2.imread(str(out / "labels" / "a.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint8 and labels.shape == (37, 45) and set(np.unique(labels)) <= {0, 1, 2}
    loaded = SegmentationNetwork.from_pretrained(network, use_safetensors=True).eval()
    image = cv2.imread(str(pairs / modality / "a.png"), cv2.IMREAD_COLOR)[..., ::-1] / np.float32(255)
    expected = loaded.segment(torch.from_numpy(image.copy()).permute(2, 0, 1)[None])[0].numpy()
    assert (labels == expected).mean() > 0.99
    assert np.asarray(Image.open(out / "overlay" / "a.png")).shape == (37, 45, 3)
    rows = json.loads((out / "legend.json").read_text())
    assert [row["name"] for row in rows["classes"]] == ["nothing", "thing", "human"] and rows["ignored"] == 255


def test_results_are_kept_until_overwritten(
    pairs: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, image = tmp_path / "out", pairs / "visible" / "a.png"
    assert main(words([image], out, network)) == 0
    (out / "overlay" / "a.png").write_bytes(b"mine")
    capsys.readouterr()
    assert main(words([image], out, network)) == 0
    line = f"ldfusion: 0 segmented, 1 kept from before (--overwrite makes them anew); results in {out}\n"
    assert capsys.readouterr().err == line
    assert (out / "overlay" / "a.png").read_bytes() == b"mine"
    assert main(words([image], out, network, "--overwrite")) == 0
    assert Image.open(out / "overlay" / "a.png").size == (45, 37)


def test_one_line_for_each_bad_image_and_the_others_are_done(
    pairs: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    images = [tmp_path / "missing.png", broken, pairs / "visible" / "a.png"]
    assert main(words(images, tmp_path / "out", network)) == 1
    first, second, last = capsys.readouterr().err.splitlines()
    assert first == f"ldfusion: error: {tmp_path / 'missing.png'}: no such file or folder"
    assert str(broken) in second
    assert last == f"ldfusion: 1 segmented, 1 failed; results in {tmp_path / 'out'}"
    assert (tmp_path / "out" / "labels" / "a.png").is_file()


def test_weights_that_are_not_there(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words([pairs / "visible"], tmp_path / "out", tmp_path / "none")) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no config.json there; give the folder of a trained segmentation network" in err
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert main(words([pairs / "visible"], tmp_path / "out", folder)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "cannot be loaded as 'segmentation'" in err

"""The table of segmentation networks, on the tiny pairs with true masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
import torch

from ldfusion.benchmarks import main
from ldfusion.benchmarks.segmentation import segmentation_table
from ldfusion.errors import InputError
from ldfusion.segmentation.network import SegmentationNetwork


@pytest.fixture(scope="module")
def pool(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pool")
    for folder, other in (("visible", "visible"), ("infrared", "infrared"), ("labels", "object_mask")):
        shutil.copytree(data_root / "roadscene" / other, root / "msrs" / folder)
    for file in (root / "msrs" / "labels").iterdir():
        mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        mask[:20, :48] = 5
        cv2.imwrite(str(file), mask)
    (root / "splits").mkdir()
    words = (data_root / "splits" / "val.txt").read_text()
    (root / "splits" / "val.txt").write_text(words.replace("roadscene/", "msrs/"))
    return root


def everything_is(folder: Path, labels: str, label: int) -> str:
    """Folder of a network that sees one class everywhere."""
    network = SegmentationNetwork(labels, "resnet18", {"channels": [8, 8, 16, 16]}, 16, 8)
    with torch.no_grad():
        network.head[1].weight.zero_()
        network.head[1].bias.zero_()[label] = 5
    network.save_pretrained(folder)
    return str(folder)


def test_figures_of_networks_of_four_and_of_nine_classes(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    four, nine = everything_is(tmp_path / "four", "objects", 0), everything_is(tmp_path / "nine", "msrs", 5)
    words = ["segmentation", "--data", str(pool), "--networks", four, nine, "--sources", "infrared", "mean"]
    assert main(words) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0][:6] == ["network", "images", "mIoU", "background", "car", "person"] and lines[0][-1] == "bump"
    rows = {(line[0], line[1]): dict(zip(lines[0][2:], line[2:], strict=True)) for line in lines[2:]}
    assert len(rows) == 4
    masks = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in sorted((pool / "msrs" / "labels").iterdir())[6:]]
    share = sum(float((mask == 2).mean()) for mask in masks) / 2
    # to the network of four classes the car stop is background
    first = rows[four, "infrared"]
    assert float(first["background"]) == pytest.approx(100 * (1 - share), abs=0.06)
    assert first["car stop"] == first["car"] == "-" and float(first["person"]) == 0.0
    assert float(rows[nine, "mean"]["car stop"]) == pytest.approx(100 * 20 * 48 / (80 * 96), abs=0.06)


def test_pseudo_masks_are_refused(pool: Path, tmp_path: Path) -> None:
    root = tmp_path / "pool"
    shutil.copytree(pool, root)
    (root / "msrs" / "labels").rename(root / "msrs" / "object_mask")
    with pytest.raises(InputError, match="no true masks of 'msrs'"):
        segmentation_table(root)

"""``ldfusion evaluate --tasks`` on the tiny data set."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ldfusion.cli import main
from ldfusion.detection.network import CentreDetector
from ldfusion.segmentation.network import SegmentationNetwork

pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("networks")
    SegmentationNetwork("objects", "resnet18", {"channels": [8, 8, 16, 16]}, 16, 8).save_pretrained(root / "segmenter")
    CentreDetector(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), stem=8, head=8, working_size=64).save_pretrained(
        root / "detector"
    )
    return root


def words(data: Path, networks: Path, *more: str) -> list[str]:
    base = data / "roadscene"
    sides = ["--visible", str(base / "visible"), "--infrared", str(base / "infrared")]
    own = ["--segmenter", str(networks / "segmenter"), "--detector", str(networks / "detector")]
    return ["evaluate", "--fused", f"colour={base / 'visible'}", *sides, "--metrics", "EN", *own, *more]


def test_all_tasks_in_one_report(
    data_root: Path, networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = data_root / "roadscene"
    given = ["--labels", str(base / "object_mask"), "--boxes", str(data_root / "pseudo_boxes.jsonl")]
    given += ["--depth-labels", str(data_root / "labels" / "roadscene"), "--html", str(tmp_path / "report.html")]
    more = ["--fused", f"heat={base / 'infrared'}", "--segmenter", f"heat={networks / 'segmenter'}"]
    assert main(words(data_root, networks, *given, *more, "--tasks", "segmentation,detection,depth")) == 0
    out = capsys.readouterr().out
    assert "nan" not in out.lower()
    heading = next(line for line in out.splitlines() if line.startswith("method") and "mIoU" in line)
    assert heading.split()[1] == "mIoU" and "AP50" in heading and "depth rho" in heading
    rows = json.loads((tmp_path / "report.json").read_text())["tasks"]["rows"]
    assert list(rows) == ["colour", "heat"]
    assert 0 <= rows["colour"]["values"]["AP person"] <= 1 and rows["colour"]["values"]["AP car"] is None
    assert 0 <= rows["heat"]["values"]["mIoU"] <= 100
    assert "<h2>Tasks</h2>" in (tmp_path / "report.html").read_text()


def test_what_is_not_given_and_what_is_wrong(
    data_root: Path, networks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    cv2.imwrite(str(labels / "FLIR_00000.png"), np.full((80, 96), 7, np.uint8))
    cv2.imwrite(str(labels / "FLIR_00001.png"), np.zeros((10, 10), np.uint8))
    cv2.imwrite(str(labels / "FLIR_00002.png"), np.dstack([np.full((80, 96), k, np.uint8) for k in (0, 9, 0)]))
    cv2.imwrite(str(labels / "FLIR_00003.png"), np.zeros((80, 96), np.uint8))
    boxes = tmp_path / "boxes.jsonl"
    boxes.write_text('{"stem": "FLIR_00003", "boxes": [{"name": "car", "xyxy": [200, 0, 220, 9]}]}\n')
    given = ["--labels", str(labels), "--boxes", str(boxes), "--tasks", "segmentation,detection,depth"]
    assert main(words(data_root, networks, *given)) == 1
    out, err = capsys.readouterr()
    assert "no labels for FLIR_00004" in err and "no boxes for FLIR_00000" in err
    assert "label id 7 is not one of the 4 classes" in out
    assert "labels of FLIR_00001: 10x10, but the image is 96x80" in out
    assert "FLIR_00002.png: has colours" in out
    assert "boxes outside of the image are left out: FLIR_00003" in out
    assert "of colour: no object of this kind" in out
    assert "depth rho of colour: no depth labels given (--depth-labels)" in out
    assert "nan" not in out.lower()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--tasks", "depht"], "unknown task 'depht'; did you mean 'depth'"),
        (["--tasks", "segmentation", "--labels", "/nowhere"], "/nowhere"),
        (["--tasks", "detection", "--boxes", "/nowhere"], "no such box file"),
        (["--tasks", "segmentation", "--segmenter", "other=/x"], "no method is called 'other'"),
        (["--tasks", "detection", "--detector", "torchvision:yolo"], "no detection model 'yolo'"),
        (["--tasks", "depth", "--depth-labels", "/nowhere"], "no such folder of depth labels"),
    ],
)
def test_wrong_usage_is_one_line(
    data_root: Path, networks: Path, more: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(data_root, networks, *more)) == 2
    err = capsys.readouterr().err
    assert expected in err and len(err.splitlines()) == 1

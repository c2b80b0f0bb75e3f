from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ldfusion.config import DataConfig
from ldfusion.data.augment import Augmentation
from ldfusion.data.boxes import LabelBox, iou, join, mask_boxes, read_boxes, to_array
from ldfusion.data.pairs import build_dataset
from ldfusion.errors import InputError


def line(*boxes: dict[str, Any], **more: Any) -> str:
    return json.dumps({"dataset": "d", "stem": "a", "boxes": list(boxes), **more})


def box(name: str, xyxy: list[float], modality: str = "visible", score: float = 0.5) -> dict[str, Any]:
    return {"name": name, "xyxy": xyxy, "modality": modality, "score": score}


def test_one_box_an_object_and_only_our_classes(tmp_path: Path) -> None:
    file = tmp_path / "boxes.jsonl"
    file.write_text(
        line(
            box("truck", [0, 0, 10, 10], "visible", 0.6),
            box("car", [1, 0, 11, 10], "infrared", 0.9),
            box("person", [0, 0, 10, 10]),
            box("traffic light", [0, 0, 3, 3]),
            box("bicycle", [40, 0, 50, 10], "infrared"),
        )
        + "\n\n"
    )
    found = read_boxes(file)
    assert list(found) == ["d/a"]
    assert found["d/a"] == [
        LabelBox(0, (1.0, 0.0, 11.0, 10.0), 3, 0.9),
        LabelBox(1, (0.0, 0.0, 10.0, 10.0), 1, 0.5),
        LabelBox(2, (40.0, 0.0, 50.0, 10.0), 2, 0.5),
    ]
    assert to_array(found["d/a"])[0].tolist() == [1, 0, 11, 10, 0, 3]
    assert to_array([]).shape == (0, 6)


def test_overlap_of_boxes() -> None:
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    apart = [LabelBox(0, (0, 0, 10, 10), 1, 0.5), LabelBox(0, (6, 0, 16, 10), 2, 0.4)]
    assert join(apart) == apart


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "line 1: not JSON"),
        (json.dumps({"stem": "a"}), "a list 'boxes'"),
        (line({"name": "car"}), "needs 'name' and 'xyxy'"),
        (line(box("car", [0, 0, 1])), "four numbers"),
        (line(box("car", [5, 0, 5, 9])), "has no area"),
        (line(box("car", [0, 0, 5, float("nan")])), "has no area"),
        (line(box("car", [0, 0, 5, 5], "radar")), "unknown modality 'radar'"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "boxes.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=expected):
        read_boxes(file)
    with pytest.raises(InputError, match="no such box file"):
        read_boxes(tmp_path / "none.jsonl")


def test_boxes_move_with_the_image() -> None:
    boxes = np.array([[10, 20, 30, 40, 1, 3], [70, 0, 80, 10, 0, 1], [38, 20, 58, 40, 2, 2]], np.float32)
    half = Augmentation(top=0.0, left=0.0, height=1.0, width=0.5, size=(60, 40))
    moved = half.boxes(boxes, (60, 80))
    assert moved.tolist() == [[10, 20, 30, 40, 1, 3]]  # one is outside, one has a tenth of its area inside
    mirrored = Augmentation(0.0, 0.0, 1.0, 1.0, (120, 160), flip=True).boxes(boxes, (60, 80))
    assert mirrored[0].tolist() == [100, 40, 140, 80, 1, 3]
    assert boxes[0, 0] == 10


def test_the_data_set_delivers_boxes(data_root: Path) -> None:
    data = DataConfig(root=str(data_root), datasets=["roadscene"], val_datasets=["roadscene"], crop=[160, 96])
    item = build_dataset(data, 0, False, boxes=True)[0]
    x1, y1, x2, y2, label, seen = item["boxes"][0].tolist()
    assert (label, seen) == (1, 3) and len(item["boxes"]) == 1
    assert (y1, y2) == pytest.approx((0.33 * 160, 0.77 * 160), abs=1e-3)
    inside = item["infrared"][0, int(y1 + 20) : int(y2 - 20), int(x1 + 4) : int(x2 - 4)]
    assert inside.mean() > 0.85  # the warm person
    with pytest.raises(InputError, match="rendered scenes bring no boxes"):
        build_dataset(DataConfig(root=str(data_root), datasets=["roadscene"], synthetic=2), 0, True, boxes=True)


def test_boxes_around_the_parts_of_a_mask() -> None:
    mask = torch.zeros(50, 50, dtype=torch.int64)
    mask[10:20, 5:8] = 2
    mask[20:22, 8:10] = 2  # touches by a corner: the same part
    mask[30:32, 40:45] = 1
    mask[40, 40] = 3  # too small
    mask[0:9, 0:9] = 5  # a car stop is none of the classes
    mask[45:, 45:] = 255
    found = mask_boxes(mask, least=2 / 2500)
    assert [(box.label, box.xyxy) for box in found] == [(0, (40, 30, 45, 32)), (1, (5, 10, 10, 22))]
    assert [box.label for box in mask_boxes(mask, least=1 / 2500)] == [0, 1, 2]
    assert mask_boxes(torch.zeros(8, 8, dtype=torch.int64)) == []

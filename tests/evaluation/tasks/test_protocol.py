from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from depth.metrics import spearman
from depth.twin import TwinDepth
from ldfusion.data.boxes import LabelBox
from ldfusion.data.labels import teacher_of
from ldfusion.detection.base import Detections, Detector
from ldfusion.errors import InputError
from ldfusion.evaluation.tasks.protocol import TaskProtocol, TaskSample
from ldfusion.evaluation.tasks.scores import TaskScores, TaskTable
from ldfusion.segmentation.network import SegmentationNetwork

SIZE = (48, 64)


class BrightSpots(Detector):
    """Finds the bounding box of everything above 0.9, as a person: a detector someone may plug in."""

    name = "bright spots"

    def forward(self, images: Tensor) -> list[Detections]:
        found = []
        for image in images:
            rows, columns = torch.nonzero(image.amax(0) > 0.9, as_tuple=True)
            if not len(rows):
                found.append(Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64)))
                continue
            corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found.append(
                Detections(torch.stack(corners)[None].float(), torch.ones(1), torch.ones(1, dtype=torch.int64))
            )
        return found


def image(seed: int, spot: tuple[int, int, int, int] | None = None) -> Tensor:
    picture = 0.8 * torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    if spot is not None:
        x1, y1, x2, y2 = spot
        picture[..., y1:y2, x1:x2] = 1
    return picture


def mask(person: tuple[int, int, int, int]) -> Tensor:
    ids = torch.zeros(SIZE, dtype=torch.int64)
    x1, y1, x2, y2 = person
    ids[y1:y2, x1:x2] = 2
    return ids


def test_segmentation_is_that_of_the_method_s_own_network(segmenter: SegmentationNetwork) -> None:
    samples = [TaskSample(f"p{k}", image(k), mask((10, 10, 30, 40))) for k in range(3)]
    samples[0].mask[0, 0] = 255  # type: ignore[index]
    scores = TaskProtocol(["segmentation"]).evaluate(samples, segmenter=segmenter)
    found = torch.cat([segmenter.segment(s.image) for s in samples])
    truth = torch.stack([s.mask for s in samples if s.mask is not None])
    counted = truth != 255
    for k, name in enumerate(("background", "car", "person", "bike")):
        hit = ((found == k) & (truth == k)).sum()
        union = (((found == k) | (truth == k)) & counted).sum()
        expected = None if union == 0 else 100 * (hit / union).item()
        assert scores.values[f"IoU {name}"] == (None if expected is None else pytest.approx(expected))
    known = [v for c, v in scores.values.items() if c.startswith("IoU") and v is not None]
    assert scores.values["mIoU"] == pytest.approx(sum(known) / len(known))


def test_labels_that_cannot_be_used_cost_a_line_each(segmenter: SegmentationNetwork) -> None:
    unknown = mask((0, 0, 5, 5)) * 4
    samples = [
        TaskSample("unknown", image(0), unknown),
        TaskSample("small", image(1), torch.zeros(20, 30, dtype=torch.int64)),
        TaskSample("good", image(2), torch.full(SIZE, 255)),
    ]
    scores = TaskProtocol(["segmentation"], segmenter).evaluate(samples)
    first, second = scores.problems
    assert "labels of unknown: label id 8 is not one of the 4 classes" in first
    assert second == "labels of small: 30x20, but the image is 64x48; labels have the image's size"
    assert scores.values["mIoU"] is None and scores.reasons["mIoU"] == "no class occurs"


def test_detection_boxes_outside_and_images_without_detections() -> None:
    pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")
    person = LabelBox(1, (10.0, 10.0, 30.0, 40.0))
    samples = [
        TaskSample("seen", image(0, (10, 10, 30, 40)), boxes=[person]),
        TaskSample("missed", image(1), boxes=[person]),
        TaskSample("beyond", image(2), boxes=[LabelBox(0, (80.0, 0.0, 90.0, 9.0))]),
    ]
    scores = TaskProtocol(["detection"], detector=BrightSpots()).evaluate(samples)
    assert scores.values["AP50"] == pytest.approx(0.5, abs=0.01)
    assert scores.values["AP person"] == scores.values["AP"] == pytest.approx(scores.values["AP90"])
    assert scores.values["AP car"] is None and "no object of this kind" in scores.reasons["AP car"]
    assert scores.problems == ["boxes outside of the image are left out: beyond"]
    blind = TaskProtocol(["detection"], detector=BrightSpots()).evaluate(samples[1:2])
    assert blind.values["AP"] == 0


def test_depth_on_real_pairs_and_on_scenes(twin: TwinDepth) -> None:
    picture = image(3)
    teacher = teacher_of(torch.rand(1, 1, 30, 40), torch.rand(1, 1, 24, 32))
    metres = 2 + 20 * torch.rand(1, 1, *SIZE)
    metres[..., :10, :] = torch.inf  # the sky
    protocol = TaskProtocol(["depth"], twin=twin)
    scores = protocol.evaluate([TaskSample("p", picture, teacher=teacher), TaskSample("s", picture, metres=metres)])
    with torch.no_grad():
        inverse = twin.fused(picture)
    below = torch.ones(1, 1, *SIZE, dtype=torch.bool)
    below[..., :10, :] = False
    assert scores.values["rho night"] == pytest.approx(spearman(inverse, -metres.clamp_max(99), below).item(), abs=1e-5)
    assert 0 < (scores.values["AbsRel night"] or 0) < 2 and "AbsRel night, re-trained" not in scores.values
    sample = TaskSample("s", picture, metres=metres)
    own = protocol.evaluate([sample], "fused", trained=twin)
    assert own.values["AbsRel night, re-trained"] == own.values["AbsRel night"] == scores.values["AbsRel night"]
    swapped = protocol.evaluate([sample], "visible", trained=twin)
    assert swapped.values["rho night, re-trained"] != scores.values["rho night"]  # a source has its own estimator alone
    assert -1 <= (scores.values["depth rho"] or -2) <= 1
    grey = protocol.evaluate(
        [TaskSample("p", picture[:, :1].expand(-1, 3, -1, -1), teacher=teacher)], reader="infrared"
    )
    infrared = protocol.evaluate([TaskSample("p", picture[:, :1], teacher=teacher)], reader="infrared")
    assert grey.values["depth rho"] == pytest.approx(
        infrared.values["depth rho"], abs=1e-4
    )  # a grey file with 3 channels
    assert infrared.values["depth rho"] != scores.values["depth rho"] and "AbsRel night" not in infrared.values


def test_nothing_given_is_na_with_its_reason(segmenter: SegmentationNetwork, twin: TwinDepth) -> None:
    pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")
    protocol = TaskProtocol(["segmentation", "detection", "depth"], segmenter, BrightSpots(), twin)
    protocol.missing["depth"] = "no depth labels given (--depth-labels)"
    table = TaskTable({"mine": protocol.evaluate([TaskSample("p", image(0))])}, "as said")
    assert set(table.rows["mine"].values.values()) == {None}
    notes = table.notes()
    assert "n/a: mIoU of mine: no labels" in notes
    assert any(line.startswith("n/a: AP50, AP70, AP90, AP") and line.endswith("of mine: no boxes") for line in notes)
    assert "n/a: depth rho of mine: no depth labels given (--depth-labels)" in notes
    assert all(cell == "n/a" for cell in table.cells()[1][1:])


def test_unknown_tasks() -> None:
    with pytest.raises(InputError, match="unknown task 'segmentate'; did you mean 'segmentation'"):
        TaskProtocol(["segmentate"])


def test_table_as_text_page_and_file(tmp_path: Path) -> None:
    one, other = TaskScores(), TaskScores(problems=["labels of x: bad"])
    for scores, values in ((one, (70.123, 0.2, 0.05)), (other, (65.0, 0.3, 0.07))):
        for column, value in zip(("mIoU", "AP50", "AbsRel night"), values, strict=True):
            scores.set(column, value)
    other.set("AP90", math.nan, "no object")
    table = TaskTable({"one": one, "other": other}, "the same for all")
    assert table.cells() == [
        ["method", "mIoU", "AP50", "AP90", "AbsRel night"],
        ["one", "70.12", "0.200", "n/a", "0.050"],
        ["other", "65.00", "0.300", "n/a", "0.070"],
    ]
    text = table.html()
    assert '<td class="best">70.12</td>' in text and '<td class="best">0.050</td>' in text and "AbsRel night ↓" in text
    assert '<td class="second">0.200</td>' in text and "other: labels of x: bad" in text
    table.write_json(tmp_path / "tasks.json")
    again = TaskTable.from_dict(json.loads((tmp_path / "tasks.json").read_text()))
    assert again.cells() == table.cells() and again.notes() == table.notes()
    assert "n/a: AP90 of one: not measured" in again.notes() and "n/a: AP90 of other: no object" in again.notes()

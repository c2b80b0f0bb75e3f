"""The one protocol that every fusion method goes through: the same images, labels, networks and rules.

Segmentation: intersection over union with a network re-trained for the method (the caller trains it, see
`ldfusion.benchmarks.tasks`), or one for all. Detection: average precision of one detector for all. Depth: the
fused image read by both estimators of a twin (`TwinDepth.fused`), a source by its own, against the teacher on real
pairs and against the exact truth on rendered scenes; there also by estimators that were re-trained for the method
(`ldfusion.benchmarks.task_scenes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from depth.metrics import depth_metrics, spearman
from depth.twin import TwinDepth
from ldfusion.config import nearest
from ldfusion.data.boxes import LabelBox, to_array
from ldfusion.detection.base import Detections, Detector
from ldfusion.errors import InputError
from ldfusion.evaluation.tasks.detection import Truth, average_precision, clip_truth, truth_of
from ldfusion.evaluation.tasks.scores import TaskScores
from ldfusion.io.color import luma
from ldfusion.io.files import some
from ldfusion.io.size import resize
from ldfusion.segmentation.metrics import SegmentationScore, mean_iou
from ldfusion.segmentation.network import SegmentationNetwork

TASKS = ("segmentation", "detection", "depth")
METRES = (0.5, 80.0)
"""Nearest and farthest depth of a rendered scene that counts; the sky does not."""
RETRAINED = ", re-trained"
"""Ends the names of the columns that re-trained estimators fill."""
READERS = ("fused", "visible", "infrared")


@dataclass(frozen=True)
class TaskSample:
    """One image of a method and what is true of it; what is None is not asked of this image.

    Attributes:
        name: of the pair.
        image: (1, 3, H, W) or (1, 1, H, W) in [0, 1].
        mask: class ids (H, W) int64, 255 ignored.
        boxes: objects in pixels of the image.
        teacher: relative inverse depth (1, 1, h, w), any size.
        metres: exact depth (1, 1, H, W), inf for the sky.
        groups: of a rendered scene; each group has its own columns.
    """

    name: str
    image: Tensor
    mask: Tensor | None = None
    boxes: Sequence[LabelBox] | None = None
    teacher: Tensor | None = None
    metres: Tensor | None = None
    groups: Sequence[str] = ("night",)


@dataclass
class TaskProtocol:
    """Measures one method after the other under the same conditions.

    Attributes:
        tasks: which of `TASKS`.
        segmenter: for methods that bring no network of their own.
        detector: needed for detection.
        twin: needed for depth.
    """

    tasks: Sequence[str]
    segmenter: SegmentationNetwork | None = None
    detector: Detector | None = None
    twin: TwinDepth | None = None
    missing: dict[str, str] = field(default_factory=dict)
    """task -> why it cannot be measured at all; its columns are n/a then"""

    def __post_init__(self) -> None:
        check_tasks(self.tasks)

    @torch.no_grad()
    def evaluate(
        self,
        samples: Iterable[TaskSample],
        reader: str = "fused",
        segmenter: SegmentationNetwork | None = None,
        trained: TwinDepth | None = None,
    ) -> TaskScores:
        """Figures of one method.

        Args:
            samples: its images; one that cannot be used for a task is left out of it with a line.
            reader: which depth estimator reads them: ``fused`` (both), ``visible`` or ``infrared``.
            segmenter: the network re-trained for this method; None: the protocol's.
            trained: the estimators re-trained for this method, which read the rendered scenes as well, if any.

        Raises:
            ValueError: an unknown reader.
        """
        if reader not in READERS:
            raise ValueError(f"reader {reader!r} is none of {READERS}")
        run = _Run(self, reader, segmenter or self.segmenter, trained)
        for sample in samples:
            run.add(sample)
        return run.scores()


def check_tasks(tasks: Iterable[str]) -> None:
    """Raise InputError for a task that does not exist."""
    for task in tasks:
        if task not in TASKS:
            raise InputError(f"unknown task '{task}'; {nearest(task, TASKS)}")


class _Run:
    """What is gathered over the images of one method."""

    def __init__(
        self,
        protocol: TaskProtocol,
        reader: str,
        segmenter: SegmentationNetwork | None,
        trained: TwinDepth | None,
    ) -> None:
        self.protocol, self.reader, self.segmenter, self.trained = protocol, reader, segmenter, trained
        self.segmentation = SegmentationScore(segmenter.classes) if segmenter is not None else None
        self.found: list[Detections] = []
        self.truth: list[Truth] = []
        self.rho: list[float] = []
        self.scenes: dict[str, list[dict[str, float]]] = {}
        self.problems: list[str] = []
        self.labelled = 0
        self.outside: list[str] = []

    def add(self, sample: TaskSample) -> None:
        tasks = self.protocol.tasks
        if "segmentation" in tasks and sample.mask is not None and self.segmenter is not None:
            try:
                self._segment(sample, self.segmenter, sample.mask)
            except InputError as error:
                self.problems.append(str(error))
        if "detection" in tasks and sample.boxes is not None and self.protocol.detector is not None:
            self._detect(sample, self.protocol.detector, sample.boxes)
        if "depth" in tasks and self.protocol.twin is not None and (sample.teacher, sample.metres) != (None, None):
            self._estimate(sample, self.protocol.twin)

    def _segment(self, sample: TaskSample, network: SegmentationNetwork, mask: Tensor) -> None:
        assert self.segmentation is not None
        size, wanted = tuple(mask.shape), tuple(sample.image.shape[-2:])
        if size != wanted:
            raise InputError(
                f"labels of {sample.name}: {size[1]}x{size[0]}, but the image is {wanted[1]}x{wanted[0]}; "
                "labels have the image's size"
            )
        network.classes.check(mask, f"labels of {sample.name}")
        self.segmentation.add(network.segment(sample.image), mask[None])
        self.labelled += 1

    def _detect(self, sample: TaskSample, detector: Detector, boxes: Sequence[LabelBox]) -> None:
        inside, outside = clip_truth(boxes, sample.image.shape[-1], sample.image.shape[-2])
        if outside:
            self.outside.append(sample.name)
        self.truth.append(truth_of(torch.from_numpy(to_array(inside))))
        self.found.append(detector(sample.image)[0])

    def _estimate(self, sample: TaskSample, twin: TwinDepth) -> None:
        if sample.teacher is not None:
            inverse = self._read(sample.image, twin)
            size = (int(sample.teacher.shape[-2]), int(sample.teacher.shape[-1]))
            self.rho.append(spearman(resize(inverse, size), sample.teacher).item())
        if sample.metres is not None:
            valid = sample.metres.isfinite()
            target = torch.where(valid, sample.metres, torch.zeros_like(sample.metres))
            for suffix, reading in (("", twin), (RETRAINED, self.trained)):
                if reading is not None:
                    inverse = self._read(sample.image, reading)
                    figures = depth_metrics(inverse, target, valid, align="inverse", limits=METRES)
                    found = {name: value.item() for name, value in figures.items()}
                    for group in sample.groups:
                        self.scenes.setdefault(group + suffix, []).append(found)

    def _read(self, image: Tensor, twin: TwinDepth) -> Tensor:
        image = image.expand(-1, 3, -1, -1)
        inverse: Tensor = getattr(twin, self.reader)(luma(image) if self.reader == "infrared" else image).cpu()
        return inverse

    def scores(self) -> TaskScores:
        scores = TaskScores(problems=self.problems)
        missing = self.protocol.missing
        if self.outside:
            scores.problems.append(f"boxes outside of the image are left out: {some(self.outside)}")
        if "segmentation" in self.protocol.tasks:
            self._segmentation_scores(scores, missing.get("segmentation", "no labels"))
        if "detection" in self.protocol.tasks:
            reason = missing.get("detection", "no boxes") if not self.truth else "no object of this kind in the images"
            for name, value in average_precision(self.found, self.truth).items():
                scores.set(name, value, reason)
        if "depth" in self.protocol.tasks:
            scores.set("depth rho", _mean(self.rho), missing.get("depth", "no depth labels"))
            for light, scenes in self.scenes.items():
                scores.set(f"AbsRel {light}", _mean([scene["abs_rel"] for scene in scenes]))
                scores.set(f"rho {light}", _mean([scene["spearman"] for scene in scenes]))
        return scores

    def _segmentation_scores(self, scores: TaskScores, reason: str) -> None:
        if self.segmentation is None or not self.labelled:
            scores.set("mIoU", None, reason)
            return
        iou = self.segmentation.iou()
        scores.set("mIoU", 100 * mean_iou(iou), "no class occurs")
        for name, value in iou.items():
            scores.set(f"IoU {name}", None if value is None else 100 * value, "the class does not occur")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

"""The tasks on folders of fused images: labels, boxes and depth of the user's own data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ldfusion.data.boxes import LabelBox, read_boxes
from ldfusion.data.labels import depth_label_path, read_depth_label, read_labels, teacher_of
from ldfusion.errors import InputError, LDFusionError
from ldfusion.evaluation.tasks.protocol import TaskProtocol, TaskSample
from ldfusion.evaluation.tasks.scores import TaskTable
from ldfusion.io.files import images_by_stem, some
from ldfusion.io.image import read_visible
from ldfusion.io.pairing import match_pairs
from ldfusion.segmentation.network import SegmentationNetwork


@dataclass
class TaskFolders:
    """Pairs and what is true of them.

    Attributes:
        names: of the pairs.
        labels: label image by name, or None without a folder of them.
        boxes: objects by name, or None without a file of them.
        depth: folder with ``depth_visible/NAME.npy`` and ``depth_infrared/NAME.npy``, or None.
        problems: lines about pairs without labels.
    """

    names: list[str]
    labels: Mapping[str, Path] | None = None
    boxes: Mapping[str, list[LabelBox]] | None = None
    depth: Path | None = None
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls, visible: Path, infrared: Path, labels: Path | None, boxes: Path | None, depth: Path | None
    ) -> TaskFolders:
        """Look for everything of the pairs in two folders.

        Raises:
            InputError: a folder or file that is missing or unusable.
        """
        names = [name for name, _, _ in match_pairs(visible, infrared)]
        found = cls(names, depth=depth)
        if labels is not None:
            found.labels = {names[0]: labels} if labels.is_file() else images_by_stem(labels)
            found._report(labels, [name for name in names if name not in found.labels], "no labels")
        if boxes is not None:
            by_stem = {name.rsplit("/", 1)[-1]: each for name, each in read_boxes(boxes).items()}
            found.boxes = by_stem
            found._report(boxes, [name for name in names if name not in by_stem], "no boxes")
        if depth is not None and not depth.is_dir():
            raise InputError(
                f"{depth}: no such folder of depth labels (depth_visible/NAME.npy, depth_infrared/NAME.npy)"
            )
        return found

    def _report(self, where: Path, missing: list[str], what: str) -> None:
        if missing:
            self.problems.append(f"{where}: {what} for {some(missing)}")

    def samples(self, method: str, folder: Path, problems: list[str]) -> Iterator[TaskSample]:
        """A method's images with what is true of them; ``problems`` gains a line for every one that cannot be used."""
        files = images_by_stem(folder) if folder.is_dir() else {self.names[0]: folder}
        missing = [name for name in self.names if name not in files]
        if missing:
            problems.append(f"no fused image for {some(missing)}")
        for name in self.names:
            if name not in files:
                continue
            try:
                image = read_visible(files[name])[0][None]
                mask = None if self.labels is None or name not in self.labels else read_labels(self.labels[name])
                teacher = self._teacher(name)
            except LDFusionError as error:
                problems.append(str(error))
                continue
            yield TaskSample(name, image, mask, None if self.boxes is None else self.boxes.get(name), teacher)

    def _teacher(self, name: str) -> Tensor | None:
        if self.depth is None:
            return None
        parent, inner = self.depth.parent, f"{self.depth.name}/{name}"
        if not depth_label_path(parent, inner, "visible").is_file():
            return None
        maps = (read_depth_label(parent, inner, sensor) for sensor in ("visible", "infrared"))
        return teacher_of(*(torch.from_numpy(each)[None, None] for each in maps))


def task_table(
    protocol: TaskProtocol,
    folders: TaskFolders,
    fused: Mapping[str, Path],
    segmenters: Mapping[str, SegmentationNetwork],
    description: str,
) -> TaskTable:
    """One row a method.

    Args:
        protocol: the same for all.
        folders: the pairs.
        fused: method name -> folder of its images.
        segmenters: method name -> network re-trained for it; others take the protocol's.
        description: the conditions in words.
    """
    table = TaskTable(protocol=description)
    for method, folder in fused.items():
        problems: list[str] = []
        samples = folders.samples(method, folder, problems)
        scores = protocol.evaluate(samples, segmenter=segmenters.get(method))
        scores.problems[:0] = problems
        table.rows[method] = scores
    return table

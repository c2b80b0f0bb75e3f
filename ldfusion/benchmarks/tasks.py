"""The task table: every fusion method through one protocol, with networks re-trained for each.

All pairs are read with a short side of ``size`` pixels, fused, and kept below ``OUT/images/METHOD`` in the layout of
their data sets, so that the segmentation network is trained by the one loop on them; of rendered scenes, for the depth
network, below ``OUT/scenes``. A finished row is not computed again.

Segmentation is judged on pairs with true masks alone; a pseudo-mask lacks what its detector has missed. Where there is
a true mask, the objects to be detected are its connected parts (`mask_boxes`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from depth.estimator import load_estimator
from depth.twin import TwinDepth
from ldfusion.benchmarks.base import add_data, add_labels, add_run
from ldfusion.benchmarks.overrides import split_overrides
from ldfusion.benchmarks.task_scenes import JUDGED, SENSORS, Fuse, TrainingScenes, judged_scenes
from ldfusion.config import DataConfig, Experiment
from ldfusion.data.boxes import LEAST_PART, LabelBox, mask_boxes, read_boxes
from ldfusion.data.catalog import PairFiles, catalog, select_pairs
from ldfusion.data.labels import read_depth_label, read_labels, teacher_of
from ldfusion.detection.load import load_detector
from ldfusion.errors import InputError, LDFusionError
from ldfusion.evaluation.report import markdown
from ldfusion.evaluation.tasks.protocol import TASKS, TaskProtocol, TaskSample
from ldfusion.evaluation.tasks.scores import TaskScores, TaskTable
from ldfusion.fusion.methods import load_method
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.io.image import read_visible, write_png
from ldfusion.io.size import resize
from ldfusion.loading import load_pair
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.recipes import load
from ldfusion.segmentation.network import SegmentationNetwork, load_segmenter
from ldfusion.weights import component_folder

METHODS = (
    *("visible", "infrared", "mean", "maximum", "maximum-stretched", "laplacian"),
    *("zero-learning", "seafusion", "ldfusion"),
)
EMBEDDED = "embedded"
"""Name of the segmentation network in the package."""
CONFIGS = {"segmentation": "task-segmentation", "depth": "task-depth"}
"""What is trained anew for every method."""


@dataclass(frozen=True)
class TaskBenchmark:
    """Where everything is and how much of it is used.

    Attributes:
        data: folder of the data sets.
        output: of the run.
        labels: depth labels of the teacher (``prepare_data.py depth``); None: no depth on real pairs.
        overrides: ``section.key=value`` for the trainings of `CONFIGS`, or for one: ``depth:train.steps=100``.
        size: short side in pixels that all pairs are read with.
        train_limit: training pairs of the segmentation network; 0: all.
        scenes: rendered street scenes of each light to judge depth by.
        train_scenes: of each light to re-train the depth network on; 0: it is not re-trained.
        detector: source of the detector, see `load_detector`.
        segmenter: folder of one segmentation network that judges all images, or `EMBEDDED`; None: it is re-trained for
            each method.
        tasks: which are measured.
    """

    data: Path
    output: Path
    labels: Path | None = None
    overrides: Sequence[str] = ()
    size: int = 240
    train_limit: int = 0
    scenes: int = 32
    train_scenes: int = 128
    detector: str | None = None
    segmenter: str | None = None
    tasks: Sequence[str] = TASKS

    def run(self, methods: Sequence[str] = METHODS) -> TaskTable:
        """Rows of the named methods; also written to ``OUT/tasks.json`` after each.

        Raises:
            InputError: the folder holds rows of another protocol.
        """
        check_output_folder(self.output)
        file = self.output / "tasks.json"
        table = TaskTable(protocol=self.protocol())
        if file.is_file():
            table = TaskTable.from_dict(json.loads(file.read_text(encoding="utf-8")))
            if table.protocol != self.protocol():
                raise InputError(f"{file}: rows of another protocol ({table.protocol}); choose another output folder")
        pipe = LDFusionPipeline.from_pretrained()
        protocol = TaskProtocol(self.tasks, detector=load_detector(self.detector), twin=pipe.twin)
        for method in methods:
            if method not in table.rows:
                table.rows[method] = self._row(method, protocol, pipe)
                table.write_json(file)
        table.rows = {name: table.rows[name] for name in methods}
        return table

    def protocol(self) -> str:
        """The conditions in words."""
        words = [f"RoadScene and MSRS validation pairs, short side {self.size}"]
        true = [files for files in self._split(False) if _is_true(files)]
        names = " and ".join(dict.fromkeys(files.dataset for files in true)) or "none"
        judged = f"judged on the {len(true)} pairs with true masks ({names})"
        if "segmentation" in self.tasks and self.segmenter:
            words.append(f"segmentation by one network for all ({self.segmenter}), {judged}")
        elif "segmentation" in self.tasks:
            train = self._experiment("segmentation").train
            pairs = "all" if not self.train_limit else str(self.train_limit)
            embedded = train.init == str(component_folder("segmentation"))
            start = "the embedded network" if embedded else train.init
            steps = f"{train.steps} steps of {train.batch} on {pairs} pairs from {start}"
            words.append(f"segmentation re-trained per method, {steps}, {judged}")
        if "detection" in self.tasks:
            detector = "one detector for all" + (f" ({self.detector})" if self.detector else "")
            parts = f"connected parts of true masks from 1/{round(1 / LEAST_PART)} of the image on ({names})"
            words.append(f"{detector}, objects: {parts}, else pseudo-boxes")
        if "depth" in self.tasks:
            train = self._experiment("depth").train
            trained = f", re-trained with {train.steps} steps of {train.batch} on {self.train_scenes} others"
            scenes = f"{self.scenes} rendered scenes each of {', '.join(JUDGED)}"
            words.append(scenes + (trained if self.train_scenes else ""))
        return "; ".join(words)

    def _row(self, method: str, protocol: TaskProtocol, pipe: LDFusionPipeline) -> TaskScores:
        try:
            fuse = _fuser(method, pipe)
            folder = self._images(method, fuse)
            segmenter = self._segmenter(method, folder) if "segmentation" in self.tasks else None
            depth = "depth" in self.tasks
            twin = self._twin(method, fuse, pipe.twin) if depth and self.train_scenes else None
            samples = [*self._pairs(folder), *(judged_scenes(fuse, self.scenes) if depth else ())]
            reader = method if method in SENSORS else "fused"
            images = tqdm(samples, desc=method, unit="image", disable=None)
            return protocol.evaluate(images, reader, segmenter, twin)
        except LDFusionError as error:
            return TaskScores(problems=[str(error)])

    def _split(self, train: bool) -> list[PairFiles]:
        data = DataConfig(root=str(self.data))
        split = data.train_split if train else data.val_split
        pairs = select_pairs(self.data, data.val_datasets, split)
        if train and self.train_limit:  # spread over the data sets and over day and night
            chosen = np.linspace(0, len(pairs) - 1, min(self.train_limit, len(pairs))).round().astype(int)
            pairs = [pairs[k] for k in chosen]
        return pairs

    def _images(self, method: str, fuse: Fuse) -> Path:
        """The method's images of all pairs, in the place of the visible ones of their data sets."""
        root = self.output / "images" / method
        splits = {"val": self._split(False)}
        if "segmentation" in self.tasks and not self.segmenter:
            splits["train"] = self._split(True)
        for name, pairs in splits.items():
            with atomic_write(root / "splits" / f"{name}.txt") as file:
                file.write_text("".join(f"{files.name}\n" for files in pairs))
        todo = [files for pairs in splits.values() for files in pairs if not _target(root, files).is_file()]
        for files in tqdm(todo, desc=f"{method}: fusing", unit="pair", disable=None):
            visible, infrared = self._read(files)
            image = fuse(visible, infrared)
            shape = (int(image.shape[-1]), int(image.shape[-2]))
            write_png(_target(root, files, "infrared"), infrared[0])
            if files.labels is not None:
                mask = read_labels(files.labels).numpy().astype(np.uint8)
                with atomic_write(_target(root, files, "labels")) as file:
                    cv2.imwrite(str(file), cv2.resize(mask, shape, interpolation=cv2.INTER_NEAREST_EXACT))
            write_png(_target(root, files), image[0].expand(3, -1, -1))
        return root

    def _read(self, files: PairFiles) -> tuple[Tensor, Tensor]:
        pair = load_pair(files.visible, files.infrared, files.name)
        height, width = pair.visible.shape[-2:]
        scale = self.size / min(height, width)
        shape = (round(height * scale), round(width * scale))
        return resize(pair.visible, shape), resize(pair.infrared, shape)

    def _experiment(self, task: str, *more: str) -> Experiment:
        experiment = load(CONFIGS[task], [*split_overrides(self.overrides, CONFIGS)[task], *more])
        experiment.train.init = experiment.train.init or str(component_folder(experiment.stage.replace("-", "_")))
        return experiment

    def _trained(self, task: str, name: str, *more: str) -> Path:
        """Weights of a network re-trained on a method's images; a finished training is not repeated."""
        from ldfusion.training.loop import train_once

        experiment = self._experiment(task, *more, f"output={self.output / task / name}")
        train_once(experiment)
        return Path(experiment.output) / "weights"

    def _segmenter(self, method: str, root: Path) -> SegmentationNetwork:
        if self.segmenter:
            return load_segmenter("" if self.segmenter == EMBEDDED else self.segmenter)
        return load_segmenter(self._trained("segmentation", method, f"data.root={root}"))

    def _twin(self, method: str, fuse: Fuse, twin: TwinDepth) -> TwinDepth:
        """The estimators that read the method, re-trained on its images: both, for a source its own."""
        scenes = TrainingScenes(self.output / "scenes", self.train_scenes)
        words = f"data.root={scenes.of_method(method, fuse)}", f"data.labels={scenes.labels}"
        parts = {"visible": twin.visible_estimator, "infrared": twin.infrared_estimator}
        for sensor in (method,) if method in SENSORS else SENSORS:
            folder = self._trained("depth", f"{method}-{sensor}", f"stage=depth-{sensor}", *words)
            parts[sensor] = load_estimator(folder)
        return TwinDepth(parts["visible"], parts["infrared"])

    def _pairs(self, root: Path) -> Iterator[TaskSample]:
        boxes = read_boxes(self.data / DataConfig().boxes)
        for files in self._split(False):
            image = read_visible(_target(root, files))[0][None]
            mask, found = None, boxes.get(files.name, [])
            if files.labels is not None and _is_true(files):
                whole = read_labels(files.labels)
                mask, found = read_labels(_target(root, files, "labels")), mask_boxes(whole)
            scale = self.size / min(read_visible(files.visible)[0].shape[-2:])
            objects = [_scaled(box, scale) for box in found]
            teacher = None
            if self.labels is not None:
                maps = (read_depth_label(self.labels, files.name, sensor) for sensor in SENSORS)
                teacher = teacher_of(*(torch.from_numpy(each)[None, None] for each in maps))
            yield TaskSample(files.name, image, mask, objects, teacher)


def task_table(benchmark: TaskBenchmark, methods: Sequence[str] = METHODS) -> str:
    """`TaskBenchmark.run` as text: the protocol, the table, and what is missing."""
    table = benchmark.run(methods)
    return "\n".join([table.protocol, "", markdown(table.cells()), "", *table.notes()]).rstrip()


def _fuser(method: str, pipe: LDFusionPipeline) -> Fuse:
    if method in SENSORS:
        return partial(_source, SENSORS.index(method))
    if method == "ldfusion":
        return pipe.fuse
    return load_method(method).fuse


def _source(number: int, visible: Tensor, infrared: Tensor) -> Tensor:
    return (visible, infrared)[number]


def _target(root: Path, files: PairFiles, part: str = "visible") -> Path:
    """Where one of a pair's images is kept; masks in a folder of the name they came from, which says what they are."""
    row = catalog()[files.dataset]
    folder = files.labels.parent.name if part == "labels" and files.labels is not None else row[part]
    return root / row["root"] / folder / f"{files.name.split('/', 1)[1]}.png"


def _is_true(files: PairFiles) -> bool:
    """Whether a pair's mask knows every class."""
    return files.label_set == "msrs"


def _scaled(box: LabelBox, scale: float) -> LabelBox:
    x1, y1, x2, y2 = (scale * value for value in box.xyxy)
    return LabelBox(box.label, (x1, y1, x2, y2), box.seen, box.score)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    add_labels(parser, required=False)
    parser.add_argument("--tasks", default="segmentation,detection,depth")
    parser.add_argument("--methods", default=None, help="names with commas between (default: all)")
    parser.add_argument("--detector", default=None, help="folder, torchvision:NAME or hub:ID (default: embedded)")
    parser.add_argument("--segmenter", help=f"one network for all: a folder, or {EMBEDDED} (default: re-trained)")
    parser.add_argument("--size", type=int, default=240, help="short side in pixels that all pairs are read with")
    parser.add_argument("--train-limit", type=int, default=0, help="training pairs of the segmentation network; 0: all")
    parser.add_argument("--scenes", type=int, default=32, help="rendered scenes of each light to judge depth by")
    parser.add_argument("--train-scenes", type=int, default=128, help="the same, to re-train depth on; 0: not at all")
    add_run(parser, "[segmentation:|depth:]KEY=VALUE words for the trainings")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    benchmark = TaskBenchmark(
        data=args.data,
        output=args.output,
        labels=args.labels,
        overrides=args.overrides,
        size=args.size,
        train_limit=args.train_limit,
        scenes=args.scenes,
        train_scenes=args.train_scenes,
        tasks=args.tasks.split(","),
        detector=args.detector,
        segmenter=args.segmenter,
    )
    return task_table(benchmark, METHODS if args.methods is None else tuple(args.methods.split(",")))

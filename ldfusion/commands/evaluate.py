"""Measure fused images against their sources.

Images belong together by name without suffix. The table states the convention of its numbers. Pairs that cannot be
evaluated are named and left out of the means, and the exit code is then 1. With --tasks a second table says what other
programs can do with the images: segment them, detect objects, estimate depth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import options
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError
from ldfusion.jobs import is_main

if TYPE_CHECKING:
    from ldfusion.evaluation.tasks.scores import TaskTable
    from ldfusion.segmentation.network import SegmentationNetwork

CONVENTIONS = ("plain", "tang", "tang-published", "zoo", "vifb")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--fused",
        action="append",
        metavar="[NAME=]DIR",
        required=True,
        help="folder of fused images, or one image; again for every further method",
    )
    for side in ("visible", "infrared"):
        parser.add_argument(
            f"--{side}", type=Path, metavar="DIR", required=True, help=f"folder of {side} images, or one image"
        )
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        default="plain",
        help="whose definitions, to compare with a published table (default: plain)",
    )
    parser.add_argument(
        "--metrics", metavar="M,M,...", help="columns, like EN,MI,VIF; all: the slow FMI too (default: the usual ones)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page, with JSON and CSV beside it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number to this file")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a line for every image to this file")
    parser.add_argument("--per-image", action="store_true", help="print a line for each image, not only the means")
    tasks = parser.add_argument_group("tasks")
    tasks.add_argument("--tasks", metavar="T,T,...", help="of segmentation, detection, depth")
    tasks.add_argument("--labels", type=Path, metavar="DIR", help="label images, one class id a pixel")
    tasks.add_argument("--boxes", type=Path, metavar="FILE", help="objects, JSON lines with 'stem' and 'boxes'")
    tasks.add_argument(
        "--depth-labels",
        type=Path,
        metavar="DIR",
        help="depth_visible/NAME.npy and depth_infrared/NAME.npy of a teacher",
    )
    tasks.add_argument(
        "--segmenter",
        action="append",
        metavar="[NAME=]DIR",
        default=[],
        help="segmentation network, for the method NAME or for all others (default: the one inside the package)",
    )
    tasks.add_argument(
        "--detector", metavar="SOURCE", help="folder, torchvision:NAME or hub:ID (default: the one inside the package)"
    )
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 when every pair was evaluated, 1 when some could not be."""
    from ldfusion.evaluation.report import render
    from ldfusion.evaluation.suite import evaluate_pairs
    from ldfusion.io.files import named_folders

    fused = named_folders(args.fused)
    outputs = _outputs(args)
    measure_tasks = _prepare_tasks(args, fused) if args.tasks is not None else None
    table = evaluate_pairs(
        fused,
        args.visible,
        args.infrared,
        metrics=None if args.metrics is None else [name.strip() for name in args.metrics.split(",")],
        device=options.choose_device(args.device),
        convention=args.convention,
        shared=True,
    )
    if not is_main():
        return 0
    for problem in table.problems:
        say(f"warning: {problem}")
    print(render(table, per_image=args.per_image))
    tasks = measure_tasks() if measure_tasks is not None else None
    if tasks is not None:
        from ldfusion.evaluation.report import plain

        print("\n" + "\n\n".join([f"Tasks: {tasks.protocol}.\n" + "\n".join(tasks.notes()), plain(tasks.cells())]))
    if "json" in outputs:
        table.write_json(outputs["json"], **({} if tasks is None else {"tasks": tasks.as_dict()}))
    if "csv" in outputs:
        table.write_csv(outputs["csv"])
    if args.html is not None:
        from ldfusion.evaluation.html_report import metric_sections, picture_section
        from ldfusion.evaluation.page import page, write_page

        pictures = picture_section(table, fused, args.visible, args.infrared)
        sections = [*metric_sections(table), *([] if tasks is None else [tasks.html()]), pictures]
        write_page(args.html, page("Fusion report", sections))
    failed = table.problems or (tasks is not None and any(scores.problems for scores in tasks.rows.values()))
    return 1 if failed else 0


def _prepare_tasks(args: argparse.Namespace, fused: dict[str, Path]) -> Callable[[], TaskTable]:
    """Load all that the tasks need, so that what is wrong with it is said before anything is measured."""
    from ldfusion.detection.load import load_detector
    from ldfusion.evaluation.tasks.folders import TaskFolders, task_table
    from ldfusion.evaluation.tasks.protocol import TaskProtocol
    from ldfusion.segmentation.network import load_segmenter

    wanted = [task.strip() for task in args.tasks.split(",")]
    protocol = TaskProtocol(wanted)
    folders = TaskFolders.open(args.visible, args.infrared, args.labels, args.boxes, args.depth_labels)
    for problem in folders.problems:
        say(f"warning: {problem}")
    words = []
    own: dict[str, SegmentationNetwork] = {}
    if "segmentation" in wanted:
        own, protocol.segmenter = _segmenters(args, fused)
        others = "all" if not own else "the others" if len(own) < len(fused) else ""
        nets = [f"its own for {name}" for name in own] + ([f"one for {others}"] if others else [])
        words.append(f"segmentation network: {', '.join(nets)}")
        if folders.labels is None:
            protocol.missing["segmentation"] = "no labels given (--labels)"
        if protocol.segmenter is None and len(own) < len(fused):
            protocol.segmenter = load_segmenter()
    if "detection" in wanted:
        protocol.detector = load_detector(args.detector)
        words.append(protocol.detector.name)
        if folders.boxes is None:
            protocol.missing["detection"] = "no boxes given (--boxes)"
    if "depth" in wanted:
        args.weights = None
        protocol.twin = options.load_pipeline(args).twin.cpu()
        words.append("depth by the mean of both estimators of the pipeline")
        if folders.depth is None:
            protocol.missing["depth"] = "no depth labels given (--depth-labels)"
    return partial(task_table, protocol, folders, fused, own, "; ".join(words))


def _segmenters(
    args: argparse.Namespace, fused: dict[str, Path]
) -> tuple[dict[str, SegmentationNetwork], SegmentationNetwork | None]:
    """Networks by method, and the one for all others where it is given."""
    from ldfusion.segmentation.network import load_segmenter

    own, common = {}, None
    for word in args.segmenter:
        name, separator, folder = word.partition("=")
        if separator and not Path(word).exists():
            if name not in fused:
                raise InputError(f"--segmenter {word}: no method is called '{name}'; there are {', '.join(fused)}")
            own[name] = load_segmenter(folder)
        else:
            common = load_segmenter(word)
    return own, common


def _outputs(args: argparse.Namespace) -> dict[str, Path]:
    """Files to write by kind: those asked for, and JSON and CSV beside a page; proved to be writable.

    Raises:
        InputError: a folder where a file is expected.
    """
    from ldfusion.io.files import check_output_folder

    given: dict[str, Path | None] = {"json": args.json, "csv": args.csv}
    if args.html is not None:
        given = {kind: path or args.html.with_suffix(f".{kind}") for kind, path in given.items()}
    for kind, path in {**given, "html": args.html}.items():
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"--{kind} {path} is a folder; give a file")
        check_output_folder(path.parent)
    return {kind: path for kind, path in given.items() if path is not None}

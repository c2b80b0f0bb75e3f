"""The training strategies that SeAFusion compares (Tang et al. 2022, section 4.6), judged by segmentation.

Every strategy trains a fusion network from the same start with the same number of steps; then a segmentation network of
one configuration and one seed is trained anew on the images of each, and its IoU on the validation pairs is the row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ldfusion.benchmarks.base import add_data, add_run
from ldfusion.benchmarks.overrides import split_overrides
from ldfusion.config import Experiment
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.recipes import load
from ldfusion.training.loop import train_once

STRATEGIES: dict[str, tuple[str, str]] = {
    "joint adaptive (full)": ("adaptive", ""),
    "no semantic loss": ("content", ""),
    "one-stage joint": ("joint", ""),
    "pretrained on visible": ("pretrained", "visible"),
    "pretrained on infrared": ("pretrained", "infrared"),
}
"""Row of the table -> ``loss.strategy`` and what its guide, if any, was trained on."""
SOURCES = ("visible", "infrared")
METRICS = ("EN", "MI", "VIF", "SF", "SD", "Qabf")
STAGES = ("seafusion", "segmentation")

Rows = dict[str, dict[str, float]]


def compare_strategies(configs: dict[str, str], output: Path, overrides: Sequence[str] = ()) -> Rows:
    """Train and judge every strategy; what an earlier call has finished with the same settings is not repeated.

    Args:
        configs: configuration of each stage of `STAGES`.
        output: folder of all runs and of ``strategies.json``.
        overrides: ``section.key=value`` for both stages, or for one: ``segmentation:train.steps=100``.

    Returns:
        Row -> figures: mIoU and the IoU of each class, for the strategies also the six fusion metrics. The rows
        ``visible`` and ``infrared`` are the single images under the same protocol.
    """
    words = split_overrides(overrides, STAGES)
    check_output_folder(output)
    rows: Rows = {}

    def segmentation(name: str, *more: str) -> tuple[Path, dict[str, float]]:
        folder = output / f"segmentation-{name}"
        return folder, train_once(load(configs["segmentation"], [*words["segmentation"], *more, f"output={folder}"]))

    guides = {}
    for source in SOURCES:
        guides[source], rows[source] = segmentation(source, f"loss.sources=[{source}]")
        _write(output, rows)
    for name, (strategy, guide) in STRATEGIES.items():
        key = f"{strategy}-{guide}" if guide else strategy
        folder = output / f"fusion-{key}"
        more = [f"loss.strategy={strategy}", f"output={folder}"]
        if guide:
            more.append(f"model.guide={guides[guide] / 'weights'}")
        experiment = load(configs["seafusion"], [*words["seafusion"], *more])
        experiment.train.steps = plan_length(experiment)
        fused = train_once(experiment)
        # the network that was trained along may have learned more steps than the others': all are judged by a new one
        weights = f"model.fusion={folder / 'weights' / 'fusion'}"
        _, judged = segmentation(key, "loss.sources=[seafusion]", weights)
        rows[name] = {**judged, **{metric: fused[metric] for metric in METRICS}}
        _write(output, rows)
    return rows


def plan_length(experiment: Experiment) -> int:
    """Steps of the plan that the section ``loss`` of a ``seafusion`` experiment describes."""
    from ldfusion.training.stages.seafusion import SeAFusionLoss

    return SeAFusionLoss(**experiment.loss).steps


def _write(output: Path, rows: Rows) -> None:
    with atomic_write(output / "strategies.json") as file:
        file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def strategy_table(rows: Rows) -> str:
    """The figures as a markdown table; n/a where a row has no such figure."""
    classes = list(dict.fromkeys(key for figures in rows.values() for key in figures if key.startswith("iou/")))
    columns = ["mIoU", *classes, *METRICS]
    lines = [
        "| training | " + " | ".join(c.removeprefix("iou/") for c in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, figures in rows.items():
        cells = [f"{figures[c]:.3f}" if c in figures else "n/a" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("--config", default="seafusion")
    parser.add_argument("--segmentation-config", default="segmentation")
    add_run(parser, "KEY=VALUE for both, or segmentation:KEY=VALUE for one")


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    configs = {"seafusion": args.config, "segmentation": args.segmentation_config}
    return strategy_table(compare_strategies(configs, args.output, [f"data.root={args.data}", *args.overrides]))

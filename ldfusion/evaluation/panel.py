"""The published fusion table: one table of all pairs and one of each data set, with the mean rank of every method.

Data sets stand apart because a mean over two hides that a method leads on one only. Pairs are named ``dataset/stem``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ldfusion.evaluation.metrics import RANKED
from ldfusion.evaluation.report import NOT_AVAILABLE, Cells, markdown, method_cells
from ldfusion.evaluation.table import EvaluationTable
from ldfusion.evaluation.tasks.scores import TaskTable

ALL = "all"
RANK, RANK_DIGITS = "rank", 2
JOINED = ("mIoU", "IoU car", "IoU person", "AP50", "AP", "depth rho", "AbsRel night", "flicker")
"""Columns that other tables of the same methods may give."""


def mean_ranks(table: EvaluationTable, columns: Iterable[str] = RANKED) -> dict[str, float | None]:
    """The mean place of every method over the columns of its table: 1 is best in everything.

    Places are those of the means over the images; equal means share the mean of their places. A column without any
    value does not count. A method that was measured on fewer images than others, or lacks a value that others have, is
    not compared and has no rank.

    Returns:
        Method name -> rank; empty where fewer than two methods can be compared.
    """
    columns = [name for name in columns if name in table.metrics]
    columns = [name for name in columns if any(scores.defined(name) for scores in table.methods.values())]
    most = max((len(scores.rows) for scores in table.methods.values()), default=0)
    means: dict[str, list[float]] = {}
    for method, scores in table.methods.items():
        found = [scores.mean(name) for name in columns]
        if len(scores.rows) == most and None not in found:
            means[method] = [value for value in found if value is not None]
    if len(means) < 2 or not columns:
        return {}
    places: dict[str, list[float]] = {method: [] for method in means}
    for index, name in enumerate(columns):
        sign = 1 if table.measures[name].higher_is_better else -1
        values = {method: sign * row[index] for method, row in means.items()}
        for method, value in values.items():
            better = sum(other > value for other in values.values())
            equal = sum(other == value for other in values.values())
            places[method].append(1 + better + (equal - 1) / 2)
    return {method: math.fsum(places[method]) / len(columns) if method in places else None for method in table.methods}


def by_data_set(table: EvaluationTable) -> dict[str, EvaluationTable]:
    """The table of all pairs, then that of each data set in the order of their first pairs; one data set: the whole."""
    names = [name for scores in table.methods.values() for name in scores.rows]
    sets = list(dict.fromkeys(name.split("/", 1)[0] for name in names))
    parts = {each: table.of_images(partial(_belongs, each)) for each in sets}
    return {ALL: table, **(parts if len(parts) > 1 else {})}


def _belongs(data_set: str, name: str) -> bool:
    return name.split("/", 1)[0] == data_set


def panel_cells(table: EvaluationTable, others: Sequence[TaskTable] = ()) -> Cells:
    """`method_cells` with the columns `JOINED` of other tables, and last the mean rank where there is one."""
    heading, *lines = method_cells(table)
    for other in others:
        named, *rows = other.cells()
        found = {row[0]: row for row in rows}
        for column in (name for name in JOINED if name in named):
            heading.append(column)
            for line in lines:
                line.append(found[line[0]][named.index(column)] if line[0] in found else NOT_AVAILABLE)
    ranks = mean_ranks(table)
    if not ranks:
        return [heading, *lines]
    shown = [NOT_AVAILABLE if (rank := ranks[line[0]]) is None else f"{rank:.{RANK_DIGITS}f}" for line in lines]
    return [[*heading, RANK], *([*line, rank] for line, rank in zip(lines, shown, strict=True))]


def render_panel(tables: Mapping[str, EvaluationTable], others: Sequence[TaskTable] = ()) -> str:
    """The tables of `by_data_set` as Markdown, after the convention, what is missing, and what the columns are.

    Columns of ``others`` (tasks, flicker of clips) join the table of all pairs, with the conditions of each.
    """
    whole = tables[ALL]
    columns = "; ".join(
        f"{name} {'↑' if whole.measures[name].higher_is_better else '↓'} {whole.measures[name].title}"
        for name in whole.metrics
    )
    lines = [f"Convention: {whole.convention}.", f"Columns (↑ higher is better): {columns}."]
    if any(mean_ranks(table) for table in tables.values()):
        lines.append(f"{RANK}: mean place over {', '.join(n for n in RANKED if n in whole.metrics)}; 1 is best.")
    lines += [f"Joined: {other.protocol}." for other in others]
    blocks = ["\n".join([*lines, *whole.problems, *whole.notes()])]
    for name, table in tables.items():
        count = max((len(scores.rows) for scores in table.methods.values()), default=0)
        cells = panel_cells(table, others if name == ALL else ())
        blocks.append(f"### {name}, {count} {'pair' if count == 1 else 'pairs'}\n\n{markdown(cells)}")
    return "\n\n".join(blocks)


def write_panel(tables: Mapping[str, EvaluationTable], path: Path) -> None:
    """Write every number as JSON: the whole table as `EvaluationTable.as_dict`, and means and ranks below ``panel``."""
    panel: dict[str, Any] = {}
    for name, table in tables.items():
        ranks = mean_ranks(table)
        panel[name] = {
            method: {
                "images": len(scores.rows),
                **{metric: scores.mean(metric) for metric in table.metrics},
                RANK: ranks.get(method),
            }
            for method, scores in table.methods.items()
        }
    tables[ALL].write_json(path, panel=panel)

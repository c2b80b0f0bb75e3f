"""What the tasks measure, as a table: one row a method, n/a with the reason where a figure cannot be had."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ldfusion.errors import InputError
from ldfusion.evaluation import page
from ldfusion.evaluation.report import Cells, format_value
from ldfusion.io.files import atomic_write


@dataclass(frozen=True)
class Column:
    """One figure of a task."""

    title: str
    higher_is_better: bool = True
    digits: int = 3


COLUMNS: dict[str, Column] = {
    "mIoU": Column("segmentation, mean intersection over union of the classes that occur [%]", digits=2),
    "IoU background": Column("[%]", digits=2),
    "IoU car": Column("[%]", digits=2),
    "IoU person": Column("[%]", digits=2),
    "IoU bike": Column("[%]", digits=2),
    "IoU curve": Column("[%]", digits=2),
    "IoU car stop": Column("[%]", digits=2),
    "IoU guardrail": Column("[%]", digits=2),
    "IoU colour cone": Column("[%]", digits=2),
    "IoU bump": Column("[%]", digits=2),
    "AP50": Column("detection, average precision at an overlap of 0.5"),
    "AP70": Column("at 0.7"),
    "AP90": Column("at 0.9"),
    "AP": Column("mean over 0.5, 0.55 .. 0.95"),
    "AP car": Column("of cars"),
    "AP person": Column("of people"),
    "AP bike": Column("of bikes"),
    "depth rho": Column(
        "depth on real pairs, Spearman correlation with the mean of the teacher's maps of both sensors"
    ),
    "AbsRel night": Column("depth of rendered nights against the truth, mean |p - g| / g after alignment", False),
    "AbsRel night, lit": Column("of those with street lamps", False),
    "AbsRel night, unlit": Column("of those without", False),
    "rho night": Column("Spearman correlation with the true nearness, at night"),
    "AbsRel smoke": Column("depth in smoke", False),
    "rho smoke": Column("the same in smoke"),
    "AbsRel night, re-trained": Column("by estimators re-trained for the method on lit nights and smoke", False),
    "AbsRel night, lit, re-trained": Column("the same", False),
    "AbsRel night, unlit, re-trained": Column("the same", False),
    "rho night, re-trained": Column("the same"),
    "AbsRel smoke, re-trained": Column("the same in smoke", False),
    "rho smoke, re-trained": Column("the same in smoke"),
    "flicker": Column("change of static areas of clips beyond that of the sources [grey levels]", False, digits=2),
}


@dataclass
class TaskScores:
    """Figures of one method by column; None where there is none, with the reason; lines about what was left out."""

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def set(self, column: str, value: float | None, reason: str = "") -> None:
        """Enter a figure; what is not finite becomes None."""
        known = value is not None and math.isfinite(value)
        self.values[column] = value if known else None
        if not known:
            self.reasons[column] = reason or "undefined"


@dataclass
class TaskTable:
    """Rows of several methods."""

    rows: dict[str, TaskScores] = field(default_factory=dict)
    protocol: str = ""
    """the conditions, in words, the same for every row"""

    @property
    def columns(self) -> list[str]:
        """Columns that any method has an entry for: the known ones first, then others (further classes)."""
        used = dict.fromkeys(name for scores in self.rows.values() for name in scores.values)
        return [name for name in COLUMNS if name in used] + [name for name in used if name not in COLUMNS]

    def cells(self) -> Cells:
        """Heading and rows as text."""
        rows = [[name, *(self._text(scores, c) for c in self.columns)] for name, scores in self.rows.items()]
        return [["method", *self.columns], *rows]

    def _text(self, scores: TaskScores, column: str) -> str:
        return format_value(scores.values.get(column), COLUMNS.get(column, Column("")).digits)

    def notes(self) -> list[str]:
        """One line for everything that is n/a or was left out."""
        lines = []
        for method, scores in self.rows.items():
            grouped: dict[str, list[str]] = {}
            for column in self.columns:
                if scores.values.get(column) is None:
                    grouped.setdefault(scores.reasons.get(column, "not measured"), []).append(column)
            lines += [f"n/a: {', '.join(columns)} of {method}: {reason}" for reason, columns in grouped.items()]
            lines += [f"{method}: {problem}" for problem in scores.problems]
        return lines

    def html(self) -> str:
        """The table as a section of a page, best and second best marked."""
        columns = []
        for name in self.columns:
            column = COLUMNS.get(name, Column(""))
            marked = page.marks([scores.values.get(name) for scores in self.rows.values()], column.higher_is_better)
            texts = [self._text(scores, name) for scores in self.rows.values()]
            columns.append([page.Cell(text, mark) for text, mark in zip(texts, marked, strict=True)])
        rows: list[Sequence[page.Cell | str]] = [
            [method, *cells] for method, *cells in zip(self.rows, *columns, strict=True)
        ]
        arrows = {True: "↑", False: "↓"}
        heading = [f"{name} {arrows[COLUMNS.get(name, Column('')).higher_is_better]}" for name in self.columns]
        titles = "; ".join(f"{name}: {COLUMNS[name].title}" for name in self.columns if name in COLUMNS)
        parts = [page.paragraph(self.protocol), page.listing(self.notes()), page.table(["method", *heading], rows)]
        return page.section("Tasks", *parts, page.paragraph(titles, note=True))

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        return {"protocol": self.protocol, "rows": {name: asdict(scores) for name, scores in self.rows.items()}}

    def write_json(self, path: Path) -> None:
        """Write `as_dict`, never a NaN in it."""
        with atomic_write(path) as temporary:
            text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> TaskTable:
        """What `write_json` wrote.

        Raises:
            InputError: no such file, or another kind of file.
        """
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path}: no table of tasks; give the tasks.json or video.json of a benchmark") from error

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> TaskTable:
        """What `as_dict` made."""
        rows = {name: TaskScores(**scores) for name, scores in given["rows"].items()}
        return cls(rows, given["protocol"])

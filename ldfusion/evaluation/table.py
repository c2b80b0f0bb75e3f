"""What an evaluation returns: one value for every method, image and metric, with means and the convention."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ldfusion.evaluation.conventions import Convention
from ldfusion.evaluation.metrics import CONVENTION, METRICS, FusionMeasure
from ldfusion.io.files import atomic_write, some

Row = dict[str, float | None]
"""metric name -> value, None where it is undefined (shown as n/a, null in JSON)"""
UNDEFINED = "undefined for this image"


@dataclass
class MethodScores:
    """The scores of one fusion method."""

    rows: dict[str, Row] = field(default_factory=dict)
    """image name -> its values"""
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    """metric -> image name -> why it has no value there"""

    def add(self, name: str, values: Mapping[str, float], reason: Callable[[str], str] = lambda _: UNDEFINED) -> None:
        """Add one image; a value that is not finite becomes None, with the ``reason`` of its metric."""
        self.rows[name] = {metric: value if math.isfinite(value) else None for metric, value in values.items()}
        for metric, value in self.rows[name].items():
            if value is None:
                self.reasons.setdefault(metric, {})[name] = reason(metric)

    def defined(self, metric: str) -> list[float]:
        """The values of one metric on all images where it is defined."""
        return [value for row in self.rows.values() if (value := row.get(metric)) is not None]

    def mean(self, metric: str) -> float | None:
        """Mean over the images where the metric is defined, None if there is none."""
        values = self.defined(metric)
        return math.fsum(values) / len(values) if values else None


@dataclass
class EvaluationTable:
    """Scores of one or several methods on the same pairs."""

    metrics: tuple[str, ...]
    """columns, names of `METRICS`"""
    methods: dict[str, MethodScores]
    """method name -> scores"""
    problems: list[str] = field(default_factory=list)
    """one line for everything that could not be evaluated"""
    convention: str = CONVENTION
    """what the numbers are, in words"""
    measures: Mapping[str, FusionMeasure] = field(default_factory=lambda: METRICS)
    """the columns by name"""

    @classmethod
    def empty(
        cls, convention: Convention, metrics: tuple[str, ...], methods: Iterable[str], problems: Iterable[str] = ()
    ) -> EvaluationTable:
        """A table to fill."""
        scores = {method: MethodScores() for method in methods}
        return cls(metrics, scores, list(problems), convention.description, convention.measures)

    def add(self, method: str, name: str, values: Mapping[str, float], size: tuple[int, int]) -> None:
        """Add one image of ``size`` (height, width)."""
        self.methods[method].add(name, values, lambda metric: self.measures[metric].reason(*size))

    def of_images(self, keep: Callable[[str], bool]) -> EvaluationTable:
        """The table of those images whose name ``keep`` accepts; what could not be evaluated stays with the whole."""
        methods = {}
        for method, scores in self.methods.items():
            reasons = {metric: {n: r for n, r in why.items() if keep(n)} for metric, why in scores.reasons.items()}
            rows = {name: row for name, row in scores.rows.items() if keep(name)}
            methods[method] = MethodScores(rows, {metric: why for metric, why in reasons.items() if why})
        return EvaluationTable(self.metrics, methods, [], self.convention, self.measures)

    def notes(self) -> list[str]:
        """One line for every metric and reason that left images without a value."""
        return [
            f"n/a: {metric} of {method}, {some(list(names))}: {reason}"
            for method, scores in self.methods.items()
            for metric, images in scores.reasons.items()
            for reason, names in _by_value(images).items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        return {
            "convention": self.convention,
            "metrics": {
                name: {"title": self.measures[name].title, "higher_is_better": self.measures[name].higher_is_better}
                for name in self.metrics
            },
            "methods": {name: self._method(scores) for name, scores in self.methods.items()},
            "problems": self.problems,
        }

    def write_json(self, path: Path, **more: Any) -> None:
        """Write `as_dict`, and ``more`` beside it, as JSON, never a NaN in it."""
        with atomic_write(path) as temporary:
            text = json.dumps({**self.as_dict(), **more}, indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def write_csv(self, path: Path) -> None:
        """Write one line a method and image; a value that is not there is empty.

        A name that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["method", "image", *self.metrics])
            for method, scores in self.methods.items():
                rows = scores.rows.items()
                writer.writerows([_text(method), _text(name), *(row[m] for m in self.metrics)] for name, row in rows)

    def _method(self, scores: MethodScores) -> dict[str, Any]:
        return {
            "images": len(scores.rows),
            "mean": {metric: scores.mean(metric) for metric in self.metrics},
            "undefined": {metric: len(scores.rows) - len(scores.defined(metric)) for metric in self.metrics},
            "reasons": scores.reasons,
            "per_image": scores.rows,
        }


def _text(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _by_value(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        grouped.setdefault(reason, []).append(name)
    return grouped

"""What an evaluation returns: one value for every method, image and metric, with means and the convention."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ldfusion.evaluation.metrics import CONVENTION, METRICS
from ldfusion.io.files import atomic_write

Row = dict[str, float | None]
"""metric name -> value, None where it is undefined (shown as n/a, null in JSON)"""


@dataclass
class MethodScores:
    """The scores of one fusion method."""

    rows: dict[str, Row] = field(default_factory=dict)
    """image name -> its values"""

    def add(self, name: str, values: Mapping[str, float]) -> None:
        """Add one image; a value that is not finite becomes None."""
        self.rows[name] = {metric: value if math.isfinite(value) else None for metric, value in values.items()}

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
    """one line for every pair that could not be evaluated"""
    convention: str = CONVENTION

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain JSON types."""
        return {
            "convention": self.convention,
            "metrics": {
                name: {"title": METRICS[name].title, "higher_is_better": METRICS[name].higher_is_better}
                for name in self.metrics
            },
            "methods": {name: self._method(scores) for name, scores in self.methods.items()},
            "problems": self.problems,
        }

    def write_json(self, path: Path) -> None:
        """Write `as_dict` as JSON, never a NaN in it."""
        with atomic_write(path) as temporary:
            text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def _method(self, scores: MethodScores) -> dict[str, Any]:
        return {
            "images": len(scores.rows),
            "mean": {metric: scores.mean(metric) for metric in self.metrics},
            "undefined": {metric: len(scores.rows) - len(scores.defined(metric)) for metric in self.metrics},
            "per_image": scores.rows,
        }

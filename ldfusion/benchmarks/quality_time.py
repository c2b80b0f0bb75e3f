"""Quality against time: our methods as they were measured, published networks as fixed points from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ldfusion.benchmarks.method_speed import REFERENCE, SIZE, MethodTime
from ldfusion.errors import InputError
from ldfusion.evaluation.plots import Series, dot_plot
from ldfusion.io.files import atomic_write

COLUMNS = ("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "CC")
"""Of which the mean place is plotted; more is better for all."""
_KEYS = ("method", "relative_time", *COLUMNS)


def read_published(file: Path) -> list[dict[str, Any]]:
    """Published networks: a list of objects with the method's name, its time relative to one pass of the GRDB network,
    and the metrics of `COLUMNS` on the validation pairs.

    Raises:
        InputError: it holds something else.
    """
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["methods"]
        assert all(isinstance(row, dict) for row in rows)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise InputError(f"{file}: not a list of published methods ({error})") from error
    for row in rows:
        missing = [key for key in _KEYS if key not in row]
        if missing:
            raise InputError(f"{file}: {row.get('method', '?')}: '{missing[0]}' is missing")
    return list(rows)


def read_quality(file: Path) -> dict[str, dict[str, float]]:
    """Mean metrics of each method on all validation pairs, from ``benchmark.py fusion -o OUT``: its ``table.json``.

    Raises:
        InputError: it holds something else.
    """
    try:
        panel = json.loads(file.read_text(encoding="utf-8"))["panel"]["all"]
        return {method: {name: float(row[name]) for name in COLUMNS} for method, row in panel.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not a table.json of 'benchmark.py fusion' ({error})") from error


def mean_places(rows: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean place of each method over `COLUMNS`, 1 is best; equal values share their places."""
    places: dict[str, list[float]] = {name: [] for name in rows}
    for column in COLUMNS:
        for name, row in rows.items():
            better = sum(other[column] > row[column] for other in rows.values())
            equal = sum(other[column] == row[column] for other in rows.values())
            places[name].append(1 + better + (equal - 1) / 2)
    return {name: sum(values) / len(values) for name, values in places.items()}


def plot(
    times: Sequence[MethodTime],
    quality: Mapping[str, Mapping[str, float]],
    published: Sequence[Mapping[str, Any]],
    file: Path,
) -> dict[str, tuple[float, float]]:
    """Write an SVG of the mean place against the time, relative to one pass of the GRDB network on a log scale.

    Args:
        times: measured, with `REFERENCE` among them.
        quality: of our methods by name; the name of a method run by ONNX Runtime is that without ``@onnx``.
        published: see `read_published`.

    Returns:
        Time as a power of 10 and mean place of each point by name.
    """
    import math

    points = {
        row.method: 1 / row.speedup
        for row in times
        if row.size == SIZE and row.speedup and row.method.partition("@")[0] in quality
    }
    rows = {name: quality[name.partition("@")[0]] for name in points}
    for each in published:
        points[f"{each['method']} (published)"] = float(each["relative_time"])
        rows[f"{each['method']} (published)"] = each
    places = mean_places({name: {column: float(row[column]) for column in COLUMNS} for name, row in rows.items()})
    found = {name: (math.log10(points[name]), places[name]) for name in points}
    series = [Series(name, [point], [f"{name}: {10 ** point[0]:.3g}, {point[1]:.1f}"]) for name, point in found.items()]
    text = dot_plot("49 validation pairs", series, f"log10 of time / {REFERENCE}", "mean place of 8 metrics")
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return found

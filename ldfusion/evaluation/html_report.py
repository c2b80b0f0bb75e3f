"""The web page of an evaluation: tables, cumulative curves, per-image scatter, best and worst pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from ldfusion.errors import LDFusionError
from ldfusion.evaluation import page, plots
from ldfusion.evaluation.report import format_value, image_cells
from ldfusion.evaluation.table import EvaluationTable
from ldfusion.io.files import images_by_stem
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.io.pairing import match_pairs
from ldfusion.io.preview import panel

SHOWN_PAIRS = 3
"""Best and worst pairs of each method that are shown."""
PANEL_WIDTH = 1080


def metric_sections(table: EvaluationTable) -> list[str]:
    """Everything about the metrics but the pictures, as HTML sections."""
    remarks = page.paragraph(f"Convention: {table.convention}.") + page.listing([*table.problems, *table.notes()])
    means = page.paragraph("Means over the images; the best of a column is bold, the second best underlined.", True)
    curves = page.paragraph("That share of the images has at most that value.", True)
    dots = page.paragraph("Images in the order of the first method's values; point at a dot for its name.", True)
    return [
        page.section("Metrics", remarks, means, _means(table)),
        page.section("Cumulative curves", curves, _key(table), _plots(_curves(table))),
        page.section("Image by image", dots, _key(table), _plots(_scatter(table)), _lists(table)),
    ]


def picture_section(table: EvaluationTable, fused: Mapping[str, Path], visible: Path, infrared: Path) -> str:
    """Best and worst pairs of every method as pictures: visible, infrared, fused.

    A pair's place is the mean, over the metrics, of the share of the method's images that are no better.
    """
    pairs = {name: files for name, *files in match_pairs(visible, infrared)}
    parts = []
    for method, folder in fused.items():
        ranked = rank_images(table, method)
        if not ranked:
            parts.append(page.paragraph(f"{method}: no image was evaluated"))
            continue
        found = images_by_stem(folder) if folder.is_dir() else dict.fromkeys(pairs, folder)
        count = min(SHOWN_PAIRS, (len(ranked) + 1) // 2)
        best, worst = ranked[:count], ranked[count:][-count:]
        for kind, chosen in (("best", best), ("worst", worst[::-1])):
            for place, (name, share) in enumerate(chosen, 1):
                caption = f"{method}, {kind} {place}: {name} (mean rank {share:.2f} of 1)"
                parts.append(_panel([*pairs[name], found[name]], caption))
    return page.section("Best and worst pairs", *parts)


def rank_images(table: EvaluationTable, method: str) -> list[tuple[str, float]]:
    """The images of a method from the best to the worst, each with its mean rank: 1 is best in everything."""
    rows = table.methods[method].rows
    shares: dict[str, list[float]] = {name: [] for name in rows}
    for metric in table.metrics:
        sign = 1 if table.measures[metric].higher_is_better else -1
        values = {name: sign * value for name, row in rows.items() if (value := row[metric]) is not None}
        for name, value in values.items():
            shares[name].append(sum(other <= value for other in values.values()) / len(values))
    means = {name: sum(each) / len(each) for name, each in shares.items() if each}
    return sorted(means.items(), key=lambda item: -item[1])


def _means(table: EvaluationTable) -> str:
    most = max((len(scores.rows) for scores in table.methods.values()), default=0)
    columns = []
    for metric in table.metrics:
        measure = table.measures[metric]
        means = [scores.mean(metric) for scores in table.methods.values()]
        # a mean over fewer images than the others' is shown but not compared
        whole = [len(scores.rows) == most for scores in table.methods.values()]
        compared = [mean if complete else None for mean, complete in zip(means, whole, strict=True)]
        marked = page.marks(compared, measure.higher_is_better)
        columns.append([page.Cell(format_value(m, measure.digits), k) for m, k in zip(means, marked, strict=True)])
    heading = ["method", "images"]
    heading += [f"{metric} {'↑' if table.measures[metric].higher_is_better else '↓'}" for metric in table.metrics]
    rows: list[list[page.Cell | str]] = [
        [name, f"{len(scores.rows)}" + ("" if len(scores.rows) == most else f" of {most}"), *cells]
        for (name, scores), *cells in zip(table.methods.items(), *columns, strict=True)
    ]
    names = "; ".join(f"{metric}: {table.measures[metric].title}" for metric in table.metrics)
    return page.table(heading, rows) + page.paragraph(names, note=True)


def _key(table: EvaluationTable) -> str:
    lines = []
    for index, method in enumerate(table.methods):
        stroke = f'stroke="{plots.colour(index)}" stroke-width="3" stroke-dasharray="{plots.dash(index)}"'
        lines.append(f'<span><svg width="26" height="12"><path d="M0 6H26" {stroke}/></svg>{escape(method)}</span>')
    return f'<p class="key">{"".join(lines)}</p>\n'


def _plots(pictures: Sequence[str]) -> str:
    return f'<div class="plots">{"".join(pictures)}</div>\n'


def _curves(table: EvaluationTable) -> list[str]:
    found = []
    for metric in table.metrics:
        series = [
            plots.Series(f"{name} (mean {format_value(scores.mean(metric), table.measures[metric].digits)})", points)
            for name, scores in table.methods.items()
            for points in [plots.cumulative(scores.defined(metric))]
        ]
        if any(one.points for one in series):
            found.append(plots.line_plot(metric, series, "share of images", metric))
    return found


def _scatter(table: EvaluationTable) -> list[str]:
    found = []
    for metric in table.metrics:
        names = list(dict.fromkeys(name for scores in table.methods.values() for name in scores.rows))
        first = next(iter(table.methods.values())).rows
        known = {name: row[metric] for name, row in first.items()}
        order = sorted(names, key=lambda name: (known.get(name) is None, known.get(name) or 0.0))
        series = []
        for method, scores in table.methods.items():
            values = [(k, name, scores.rows[name][metric]) for k, name in enumerate(order, 1) if name in scores.rows]
            shown = [(k, name, value) for k, name, value in values if value is not None]
            points = [(float(k), value) for k, _, value in shown]
            series.append(plots.Series(method, points, [f"{name}, {value:.4g}" for _, name, value in shown]))
        if any(one.points for one in series):
            found.append(plots.dot_plot(metric, series, "image", metric))
    return found


def _lists(table: EvaluationTable) -> str:
    tables = []
    for method in table.methods:
        heading, *rows = image_cells(table, method)
        tables.append(page.folded(f"{method}: every image", page.table(heading, rows)))
    return "".join(tables)


def _panel(files: Sequence[Path], caption: str) -> str:
    try:
        images = [read_visible(files[0])[0], read_infrared(files[1]), read_visible(files[2])[0]]
    except LDFusionError as error:  # changed since it was measured
        return page.paragraph(f"{caption}: {error}")
    sheet = panel(images, ["visible", "infrared", "fused"])
    height = round(sheet.height * PANEL_WIDTH / sheet.width)
    return page.picture(sheet.resize((PANEL_WIDTH, height), Image.Resampling.LANCZOS), caption)

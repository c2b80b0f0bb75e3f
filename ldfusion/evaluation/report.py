"""Tables to read: aligned text for a terminal, Markdown for a document."""

from __future__ import annotations

from ldfusion.evaluation.table import EvaluationTable, Row

NOT_AVAILABLE = "n/a"
MEAN = "mean"
Cells = list[list[str]]


def method_cells(table: EvaluationTable) -> Cells:
    """One line a method with its means, after a heading line; the best value of a column is not marked."""
    heading = ["method", "images", *table.metrics]
    lines = [
        [name, str(len(scores.rows)), *_format_row({m: scores.mean(m) for m in table.metrics}, table)]
        for name, scores in table.methods.items()
    ]
    return [heading, *lines]


def image_cells(table: EvaluationTable, method: str) -> Cells:
    """One line an image of one method, the mean last, after a heading line."""
    scores = table.methods[method]
    rows = {**scores.rows, MEAN: {metric: scores.mean(metric) for metric in table.metrics}}
    return [["image", *table.metrics], *([name, *_format_row(row, table)] for name, row in rows.items())]


def plain(cells: Cells) -> str:
    """Aligned columns, two spaces apart, the first one to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]
    return "\n".join(lines)


def markdown(cells: Cells) -> str:
    """A Markdown table, numbers to the right."""
    heading, *lines = cells
    ruler = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heading, ruler, *lines])


def render(table: EvaluationTable, per_image: bool = False) -> str:
    """The whole report for a terminal: the convention, the table, and why a value is missing where one is.

    Args:
        table: the scores.
        per_image: also list every image, one block a method.
    """
    blocks = ["\n".join([f"Convention: {table.convention}.", *table.notes()])]
    if per_image:
        for method in table.methods:
            named = [method] if len(table.methods) > 1 else []
            blocks.append("\n".join([*named, plain(image_cells(table, method))]))
    if not per_image or len(table.methods) > 1:
        blocks.append(plain(method_cells(table)))
    return "\n\n".join(blocks)


def _format_row(row: Row, table: EvaluationTable) -> list[str]:
    return [format_value(row[metric], table.measures[metric].digits) for metric in table.metrics]


def format_value(value: float | None, digits: int) -> str:
    """A number with that many decimals; n/a where there is none."""
    return NOT_AVAILABLE if value is None else f"{value:.{digits}f}"

"""One self-contained web page: text, tables, plots and pictures in a single file, without scripts or other files."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from ldfusion.io.files import atomic_write

BEST, SECOND = "best", "second"
JPEG_QUALITY = 82
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 1320px; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #8886; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 2px solid #8888; }
.best { font-weight: bold; background: #00998833; } .second { text-decoration: underline; background: #00998818; }
.plots { display: flex; flex-wrap: wrap; gap: .8rem; } .key span { margin-right: 1.1rem; white-space: nowrap; }
.key svg { vertical-align: middle; margin-right: .3rem; } .note { color: #777; } figure { margin: .8rem 0; }
figure img { max-width: 100%; border: 1px solid #8884; } summary { cursor: pointer; margin: .5rem 0; }
""".strip()


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and ``best`` or ``second`` where it is that in its column."""

    text: str
    mark: str = ""


def page(title: str, sections: Sequence[str]) -> str:
    """The document around its sections (HTML text)."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>\n{''.join(sections)}</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading and what is below it (HTML text)."""
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def paragraph(text: str, note: bool = False) -> str:
    """A paragraph of plain text; a note is set off."""
    return f'<p class="note">{escape(text)}</p>\n' if note else f"<p>{escape(text)}</p>\n"


def listing(lines: Sequence[str]) -> str:
    """Plain lines as a list; nothing for none."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>\n" if lines else ""


def table(heading: Sequence[Cell | str], rows: Sequence[Sequence[Cell | str]]) -> str:
    """A table whose first column names its rows."""
    head = "".join(f"<th>{escape(_cell(cell).text)}</th>" for cell in heading)
    body = "".join(f"<tr>{''.join(_td(_cell(cell)) for cell in row)}</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n'


def _cell(cell: Cell | str) -> Cell:
    return Cell(cell) if isinstance(cell, str) else cell


def _td(cell: Cell) -> str:
    mark = f' class="{cell.mark}"' if cell.mark else ""
    return f"<td{mark}>{escape(cell.text)}</td>"


def folded(summary: str, content: str) -> str:
    """Content (HTML text) that opens on a click."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n"


def picture(image: Image.Image, caption: str) -> str:
    """An image inside of the page, as JPEG, with its caption."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    text = escape(caption)
    return f'<figure><img src="data:image/jpeg;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>\n'


def marks(values: Sequence[float | None], higher_is_better: bool) -> list[str]:
    """``best``, ``second`` or nothing for each value of a column; equal values share a mark. One value gets none."""
    known = sorted({value for value in values if value is not None}, reverse=higher_is_better)
    if len(known) < 2:
        return [""] * len(values)
    names = dict(zip(known, (BEST, SECOND), strict=False))
    return ["" if value is None else names.get(value, "") for value in values]


def write_page(path: Path, text: str) -> None:
    """Write the page in one go."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

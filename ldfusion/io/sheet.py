"""Contact sheets: a row for each pair, a column for each kind of image, for a look at what a table has measured."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from ldfusion.io.preview import Picture, line_height, to_pil

CELL = 320
"""Width of every picture in pixels."""
_GAP, _LARGEST, _SMALLEST, _NAME = 6, 22, 10, 16
_PAPER, _INK, _SOFT_INK, _EMPTY = "#ffffff", "#1f2328", "#59636e", "#eaeef2"

Row = tuple[str, Sequence[Picture | None]]
"""Name of the row, and one picture a column; None leaves its cell empty."""


def contact_sheet(columns: Sequence[str], rows: Sequence[Row]) -> Image.Image:
    """Pictures of one width in rows, the names of the columns above them and those of the rows on their left.

    All pictures of a row get the size of its first one, scaled to `CELL` pixels across. A row's name is broken at its
    slashes.

    Args:
        columns: names.
        rows: see `Row`; pictures are PIL images, tensors (3 or 1, H, W) in [0, 1], or uint8 arrays.

    Raises:
        ValueError: no row, a row with another number of pictures than columns, or with none.
    """
    if not rows or not columns:
        raise ValueError("a sheet needs a row and a column")
    for name, pictures in rows:
        if len(pictures) != len(columns) or all(picture is None for picture in pictures):
            raise ValueError(f"row '{name}' has {len(pictures)} pictures for {len(columns)} columns, or none at all")
    heading, font = _fitting(columns), ImageFont.load_default(_NAME)
    names = [name.split("/") for name, _ in rows]
    left = round(max(font.getlength(line) for lines in names for line in lines)) + 2 * _GAP
    top = line_height(heading) + 2 * _GAP
    drawn = [[None if picture is None else to_pil(picture) for picture in pictures] for _, pictures in rows]
    heights = [_height(next(picture for picture in pictures if picture is not None)) for pictures in drawn]

    sheet = Image.new("RGB", (left + len(columns) * (CELL + _GAP), top + sum(heights) + _GAP * len(rows)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, column in enumerate(columns):
        draw.text((left + index * (CELL + _GAP), top - _GAP), column, _INK, heading, anchor="ls")
    y = top
    for lines, pictures, height in zip(names, drawn, heights, strict=True):
        for number, line in enumerate(lines):
            draw.text((_GAP, y + number * line_height(font)), line, _SOFT_INK, font)
        for index, picture in enumerate(pictures):
            x = left + index * (CELL + _GAP)
            if picture is None:
                draw.rectangle((x, y, x + CELL - 1, y + height - 1), _EMPTY)
                continue
            same = picture.size == (CELL, height)
            sheet.paste(picture if same else picture.resize((CELL, height), Image.Resampling.LANCZOS), (x, y))
        y += height + _GAP
    return sheet


def _height(picture: Image.Image) -> int:
    return max(1, round(picture.height * CELL / picture.width))


def _fitting(columns: Sequence[str]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest letters in which every name fits above its column."""
    for size in range(_LARGEST, _SMALLEST, -1):
        font = ImageFont.load_default(size)
        if all(font.getlength(column) <= CELL for column in columns):
            return font
    return ImageFont.load_default(_SMALLEST)

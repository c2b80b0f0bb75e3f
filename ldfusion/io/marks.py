"""Marks that people put on names to say which image is the visible and which the infrared one."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Modality = Literal["visible", "infrared"]

WORDS: dict[Modality, frozenset[str]] = {
    "visible": frozenset({"vis", "visible", "visual", "vi", "rgb", "color", "colour", "photo", "optical", "eo"}),
    "infrared": frozenset({"ir", "infrared", "inf", "thermal", "thermo", "therm", "tir", "lwir", "flir", "irt"}),
}
LETTERS: dict[Modality, frozenset[str]] = {"visible": frozenset("wv"), "infrared": frozenset("t")}
"""Marks of one letter, of drones' cameras: at the end of a name alone."""


def split_mark(stem: str) -> tuple[str, str, Modality | None]:
    """A file name without suffix as (name without the mark, the mark, what it stands for); an empty mark where none."""
    for pattern, at_end in ((r"^(.*?)[_\-. ]+([^_\-. ]+)$", True), (r"^([^_\-. ]+)[_\-. ]+(.*)$", False)):
        match = re.match(pattern, stem)
        if match is None:
            continue
        rest, word = match.groups() if at_end else match.groups()[::-1]
        for modality, words in WORDS.items():
            if rest and (fold(word) in words or (at_end and fold(word) in LETTERS[modality])):
                return rest, word, modality
    return stem, "", None


def fold(text: str) -> str:
    """A name without case, and with its accents encoded in one way."""
    return unicodedata.normalize("NFC", text).casefold()

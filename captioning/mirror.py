"""Mirrors the words of a sentence, as its image is mirrored: left and right change places."""

from __future__ import annotations

import re

_SIDE = re.compile(r"\b(left|right)(?=(?:most|hand|wards?)?\b)", re.IGNORECASE)
_ADVERB = re.compile(
    r"\s+(in\s+front|behind|before|beside|next|after|away|now|here|there|up\s+to|under|below|above|angle)",
    re.IGNORECASE,
)
_DIRECTION_BEFORE = re.compile(
    r"\b(the|at|on|to|from|its|his|her|their|near|far|farther|lower|upper|top|bottom|mid|middle|just|of|and|or|also|by"
    r"|towards?)\s+$",
    re.IGNORECASE,
)
_VERB_BEFORE = re.compile(r"\b(is|are|was|were|be|been|being)\s+$", re.IGNORECASE)
_VERB_AFTER = re.compile(r"\s+(to|behind|out|dark|unlit|over|alone|unseen)\b", re.IGNORECASE)


def mirror(text: str) -> str:
    """The sentence of the mirrored image; `mirror(mirror(text)) == text`.

    Only directions are swapped, not the verb ("are left to the visible") nor the adverb ("stands right behind it").
    """
    return _SIDE.sub(lambda found: _other_side(found, text), text)


def _other_side(found: re.Match[str], text: str) -> str:
    word = found.group()
    before, after = text[: found.start()], text[found.end() :]
    adverb = _ADVERB.match(after) and not _DIRECTION_BEFORE.search(before)
    verb = _VERB_BEFORE.search(before) and _VERB_AFTER.match(after)
    if adverb or verb:
        return word
    other = "right" if word.lower() == "left" else "left"
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other

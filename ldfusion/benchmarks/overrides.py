"""Command-line words for a benchmark that trains several kinds of network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ldfusion.config import nearest
from ldfusion.errors import InputError


def split_overrides(overrides: Sequence[str], kinds: Iterable[str]) -> dict[str, list[str]]:
    """Overrides by the kind of training they are for; a word without ``KIND:`` in front goes to all.

    Args:
        overrides: ``section.key=value`` or ``KIND:section.key=value``.
        kinds: the known ones.

    Raises:
        InputError: an unknown kind.
    """
    words: dict[str, list[str]] = {kind: [] for kind in kinds}
    for word in overrides:
        kind, colon, rest = word.partition(":")
        if not colon or "=" in kind or "." in kind:
            for given in words.values():
                given.append(word)
        elif kind in words:
            words[kind].append(rest)
        else:
            raise InputError(f"override '{word}': unknown training '{kind}'; {nearest(kind, words)}")
    return words

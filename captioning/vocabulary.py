"""A word-level vocabulary: sentences to token numbers and back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

STYLES = ("scene", "targets", "sensors", "report")
"""What a caption tells: scene, targets, what each sensor adds (the three human ones), or the facts by grammar."""
DEFAULT_STYLE = "report"

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"

_TOKEN = re.compile(r"[a-z0-9]+(?:['\N{RIGHT SINGLE QUOTATION MARK}-][a-z0-9]+)*|[.,;:!?]")
_CLOSING = frozenset(".,;:!?")


def words_of(text: str) -> list[str]:
    """Lower-case words and punctuation marks of a sentence; other signs are dropped."""
    return _TOKEN.findall(text.lower())


def join_words(words: Sequence[str]) -> str:
    """A sentence from words: no space before a mark, a capital after a full stop."""
    text = ""
    for word in words:
        starts = not text or text[-1] in ".!?"
        shown = word[:1].upper() + word[1:] if starts else word
        text += shown if not text or word in _CLOSING else f" {shown}"
    return text


class Vocabulary:
    """Numbers of words. The first numbers are the special ones: pad, end, unknown and one start token per style.

    Args:
        words: every ordinary word once, in the order of its number.

    Raises:
        ValueError: a word twice, or one that is no single word of `words_of`.
    """

    def __init__(self, words: Sequence[str]) -> None:
        special = [PAD, EOS, UNKNOWN, *(f"<{style}>" for style in STYLES)]
        self.words = [*special, *words]
        self.first_word = len(special)
        self.numbers = {word: number for number, word in enumerate(self.words)}
        if len(self.numbers) != len(self.words):
            raise ValueError("a vocabulary holds each word once")
        for word in words:
            if words_of(word) != [word]:
                raise ValueError(f"{word!r} is not one lower-case word or mark")
        self.pad, self.eos, self.unknown = (self.numbers[word] for word in (PAD, EOS, UNKNOWN))

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int = 2) -> Vocabulary:
        """The words that occur at least `min_count` times, most frequent first, equals in alphabetical order."""
        counts = Counter(word for sentence in sentences for word in words_of(sentence))
        kept = [word for word, count in counts.items() if count >= min_count]
        return cls(sorted(kept, key=lambda word: (-counts[word], word)))

    def style(self, name: str) -> int:
        """Number of a style's start token.

        Raises:
            ValueError: unknown style.
        """
        if name not in STYLES:
            raise ValueError(f"unknown caption style '{name}'; known: {', '.join(STYLES)}")
        return self.numbers[f"<{name}>"]

    @property
    def never_said(self) -> list[int]:
        """Numbers a decoder must not emit: all special ones but the end."""
        return [number for number in range(self.first_word) if number != self.eos]

    def encode(self, text: str, style: str, max_length: int | None = None) -> list[int]:
        """Start token of the style, words, end token; cut (keeping the end) to `max_length` numbers."""
        body = [self.numbers.get(word, self.unknown) for word in words_of(text)]
        if max_length is not None:
            body = body[: max_length - 2]
        return [self.style(style), *body, self.eos]

    def decode(self, numbers: Iterable[int]) -> str:
        """The sentence up to the first end token; special tokens are not shown."""
        words: list[str] = []
        for number in numbers:
            if number == self.eos:
                break
            if number >= self.first_word:
                words.append(self.words[number])
        return join_words(words)

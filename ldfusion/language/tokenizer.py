"""Sentences to token ids: CLIP's byte-pair encoding, whole or cut down to the merges that a small text tower can learn.

CLIP's tokenizer (Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021) starts
from the 256 bytes, each in a form inside and a form at the end of a word, and applies 48,894 merges in order of rank.
Leaving merges out keeps every UTF-8 text encodable, since bytes remain, and makes rare words longer. The merges that
are kept are written as ranges of ranks, ``"0-999 1012 1040-1043"``: short enough for a network's ``config.json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.notices import notice


class PromptTokenizer(SimpleTokenizer):
    """`open_clip.tokenizer.SimpleTokenizer` with a chosen set of merges and checked prompts.

    Ids are numbered as in CLIP: bytes, bytes at the end of a word, merges by rank, start, end. Padding is 0.

    Args:
        merges: ranges of the ranks that are kept; empty: all of them, which is CLIP's own vocabulary of 49,408.
        context_length: tokens of a sentence including start and end.

    Raises:
        ValueError: ``merges`` is not a list of ranges or names a rank that does not exist.
    """

    encoder: dict[str, int]
    decoder: dict[int, str]
    bpe_ranks: dict[tuple[str, str], int]
    all_special_ids: list[int]

    def __init__(self, merges: str = "", context_length: int = 77) -> None:
        super().__init__(context_length=context_length)
        if merges:
            self._keep(parse_ranges(merges))

    def _keep(self, ranks: Sequence[int]) -> None:
        known = list(self.bpe_ranks)
        if ranks[-1] >= len(known):
            raise ValueError(f"merges name rank {ranks[-1]}, the last one of CLIP's tokenizer is {len(known) - 1}")
        kept = [known[rank] for rank in ranks]
        symbols = list(bytes_to_unicode().values())
        specials = [self.decoder[i] for i in self.all_special_ids]
        vocabulary = [*symbols, *(s + "</w>" for s in symbols), *("".join(merge) for merge in kept), *specials]
        self.encoder = {token: i for i, token in enumerate(vocabulary)}
        self.decoder = {i: token for token, i in self.encoder.items()}
        self.bpe_ranks = {merge: i for i, merge in enumerate(kept)}
        self.cache = {token: token for token in specials}
        self.vocab_size = len(self.encoder)
        self.all_special_ids = [self.encoder[token] for token in specials]
        self.sot_token_id, self.eot_token_id = self.all_special_ids

    def __call__(self, texts: str | Sequence[str], context_length: int | None = None) -> Tensor:
        """Token ids (B, context_length), int64.

        A sentence that is too long is cut at its end, and said so in the log.

        Raises:
            InputError: a prompt is empty or is not UTF-8 text.
        """
        checked = [check_prompt(text) for text in ([texts] if isinstance(texts, str) else texts)]
        length = context_length or self.context_length
        for text in checked:
            count = len(self.encode(text))
            if count == 0:
                raise InputError(f"the prompt {text!r} holds no readable character: give a sentence")
            if count > length - 2:
                notice(f"the sentence '{text}' has {count} tokens: what follows the first {length - 2} is not read")
        tokens: Tensor = super().__call__(checked, length)
        return tokens


def check_prompt(text: str) -> str:
    """Return the prompt without surrounding white space.

    Raises:
        InputError: it is no text, is empty, or holds bytes that were not UTF-8 where it came from (Python keeps such
            bytes of a command line as lone surrogates).
    """
    if not isinstance(text, str):
        raise InputError(f"prompt: {text!r} is no sentence; give a string, like 'highlight the people'")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the prompt {text!a} is not UTF-8 text (character {error.start + 1}): write it in UTF-8"
        ) from error
    if not text.strip():
        raise InputError("the prompt is empty: give a sentence, or no prompt at all to be guided by the caption")
    return text.strip()


def check_prompts(prompt: Any, count: int) -> list[str]:
    """One prompt for each of ``count`` pairs, from a sentence for all of them or one for each.

    Raises:
        InputError: another number, or one that `check_prompt` refuses.
    """
    texts = list(prompt) if isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes) else [prompt] * count
    if len(texts) != count:
        raise InputError(f"prompt: {len(texts)} sentences for {count} pairs; give one, or one for each pair")
    return [check_prompt(text) for text in texts]


def select_merges(texts: Iterable[str], common: int = 1000) -> str:
    """The merges that give each word of ``texts`` the encoding that it has in CLIP, and the ``common`` first ones.

    The second group is for words that the texts do not hold: it keeps their pieces longer than single letters.

    Returns:
        Ranges of ranks, as `PromptTokenizer` takes them.
    """
    tokenizer = SimpleTokenizer()
    ranks = set(range(common))
    words = {word for text in texts for word in tokenizer.pat.findall(tokenizer.clean_fn(text))}
    for word in sorted(words):
        symbols = [tokenizer.byte_encoder[byte] for byte in word.encode("utf-8")]
        symbols[-1] += "</w>"
        while len(symbols) > 1:
            # the merge of lowest rank comes first, as when encoding
            found = [(tokenizer.bpe_ranks[p], i) for i, p in enumerate(pairwise(symbols)) if p in tokenizer.bpe_ranks]
            if not found:
                break
            rank, i = min(found)
            ranks.add(rank)
            symbols[i : i + 2] = ["".join(symbols[i : i + 2])]
    return format_ranges(ranks)


def format_ranges(ranks: Iterable[int]) -> str:
    """``{0, 1, 2, 5}`` -> ``"0-2 5"``."""
    runs: list[list[int]] = []
    for rank in sorted(ranks):
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def parse_ranges(text: str) -> list[int]:
    """``"0-2 5"`` -> ``[0, 1, 2, 5]``.

    Raises:
        ValueError: not ranges of whole numbers in rising order.
    """
    ranks: list[int] = []
    for word in text.split():
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", word)
        if match is None:
            raise ValueError(f"merges: '{word}' is not a range; write ranks such as '0-999 1012'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or (ranks and first <= ranks[-1]):
            raise ValueError(f"merges: the range '{word}' is not in rising order")
        ranks.extend(range(first, last + 1))
    return ranks

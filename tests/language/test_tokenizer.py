from __future__ import annotations

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from ldfusion.errors import InputError
from ldfusion.language.tokenizer import PromptTokenizer, check_prompt, format_ranges, parse_ranges, select_merges

CORPUS = ["A pedestrian walks past the bollard at night.", "Two cars, one truck and a cyclist on the left."]


@pytest.fixture(scope="module")
def small() -> PromptTokenizer:
    return PromptTokenizer(select_merges(CORPUS, common=100), context_length=24)


def test_all_merges_are_clip_itself() -> None:
    ours, clip = PromptTokenizer(), SimpleTokenizer()
    assert ours.vocab_size == 49408
    assert torch.equal(ours(CORPUS), clip(CORPUS))


def test_words_of_the_corpus_are_cut_as_in_clip_with_a_small_vocabulary(small: PromptTokenizer) -> None:
    clip = SimpleTokenizer()
    assert 512 + 100 + 2 < small.vocab_size < 512 + 200
    for text in CORPUS:
        assert [small.decoder[i] for i in small.encode(text)] == [clip.decoder[i] for i in clip.encode(text)]


def test_ids_are_start_words_end_and_padding(small: PromptTokenizer) -> None:
    tokens = small("two cars")
    assert tokens.shape == (1, 24) and tokens.dtype == torch.int64
    assert tokens[0, 0] == small.vocab_size - 2 and tokens[0, 3] == small.vocab_size - 1 == tokens.max()
    assert tokens[0, 4:].eq(0).all()
    assert small.decode(tokens[0, 1:3].tolist()) == "two cars "


@pytest.mark.parametrize("text", ["Ein Fußgänger überquert", "夜の歩行者", "🚗 in the dark", "a\tb\nc \x00", "Ω≈ç√"])
def test_any_utf8_text_is_encoded(small: PromptTokenizer, text: str) -> None:
    tokens = small(text, context_length=60)
    assert tokens.shape == (1, 60) and 0 <= tokens.min() and tokens.max() < small.vocab_size
    assert (tokens == small.eot_token_id).sum() == 1


def test_a_long_sentence_is_cut_and_said_so(small: PromptTokenizer, caplog: pytest.LogCaptureFixture) -> None:
    tokens = small("cars " * 40)
    assert tokens[0, -1] == small.eot_token_id
    assert "has 40 tokens: what follows the first 22 is not read" in caplog.text


@pytest.mark.parametrize("text", ["", "  \n\t ", "&nbsp;"])
def test_an_empty_prompt_is_refused_in_one_line(small: PromptTokenizer, text: str) -> None:
    with pytest.raises(InputError, match="give a sentence") as caught:
        small([text])
    assert "\n" not in str(caught.value)


def test_a_prompt_in_another_encoding_is_refused_in_one_line() -> None:
    from_command_line = "caf\xe9".encode("latin-1").decode("utf-8", "surrogateescape")
    with pytest.raises(InputError, match=r"'caf\\udce9' is not UTF-8 text \(character 4\)") as caught:
        check_prompt(from_command_line)
    assert "\n" not in str(caught.value)


def test_ranges_round_trip() -> None:
    assert format_ranges({5, 0, 2, 1, 9, 8}) == "0-2 5 8-9"
    assert parse_ranges("0-2 5 8-9") == [0, 1, 2, 5, 8, 9]


@pytest.mark.parametrize("text", ["0-", "a", "5-2", "3 3", "4 1-2"])
def test_ranges_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="merges"):
        parse_ranges(text)


def test_a_rank_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 48894, the last one of CLIP's tokenizer is 48893"):
        PromptTokenizer("0-10 48894")

"""Words to numbers and back."""

from __future__ import annotations

import pytest

from captioning.vocabulary import STYLES, Vocabulary, join_words, words_of


def test_words_of_keeps_hyphens_and_marks() -> None:
    assert words_of("A tree-lined road; the man's bag, near.") == [
        "a", "tree-lined", "road", ";", "the", "man's", "bag", ",", "near", ".",
    ]  # fmt: skip
    assert words_of('Café "x"\t(y)') == ["caf", "x", "y"]


def test_join_words_makes_a_sentence() -> None:
    text = "At night, a car is near. Depth: far; cool."
    assert join_words(words_of(text)) == "At night, a car is near. Depth: far; cool."
    assert join_words([]) == ""


def test_build_orders_by_frequency_and_drops_rare_words() -> None:
    vocabulary = Vocabulary.build(["b a a.", "a b c"], min_count=2)
    assert vocabulary.words[vocabulary.first_word :] == ["a", "b"]
    assert len(vocabulary) == 3 + len(STYLES) + 2


def test_encode_and_decode_round_trip() -> None:
    text = "By day, a car is near on the left."
    vocabulary = Vocabulary.build([text], min_count=1)
    numbers = vocabulary.encode(text, "report")
    assert numbers[0] == vocabulary.style("report")
    assert numbers[-1] == vocabulary.eos
    assert vocabulary.decode(numbers[1:]) == text
    assert vocabulary.decode([*numbers[1:], *numbers]) == text  # nothing is read after the end


def test_unknown_words_and_long_sentences() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.encode("a zebra b", "scene")[1:] == [
        vocabulary.numbers["a"],
        vocabulary.unknown,
        vocabulary.numbers["b"],
        vocabulary.eos,
    ]
    cut = vocabulary.encode("a b a b a b", "scene", max_length=4)
    assert len(cut) == 4
    assert cut[-1] == vocabulary.eos
    assert vocabulary.eos not in vocabulary.never_said
    assert {vocabulary.pad, vocabulary.unknown, vocabulary.style("scene")} <= set(vocabulary.never_said)


@pytest.mark.parametrize("words", [["a", "a"], ["two words"], ["Upper"], [""], ["<pad>"]])
def test_bad_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="word"):
        Vocabulary(words)


def test_unknown_style_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown caption style 'haiku'; known: scene, targets, sensors, report"):
        Vocabulary(["a"]).style("haiku")

"""Greedy and beam search on a small decoder."""

from __future__ import annotations

import pytest
import torch

from captioning.decode import beam_search, greedy_search
from captioning.decoder import CaptionDecoder
from captioning.vocabulary import Vocabulary

WORDS = ["a", "b", "c", "."]


@pytest.fixture
def parts() -> tuple[CaptionDecoder, Vocabulary, torch.Tensor]:
    torch.manual_seed(3)
    vocabulary = Vocabulary(WORDS)
    decoder = CaptionDecoder(len(vocabulary), width=16, layers=2, heads=2, max_length=9).eval()
    return decoder, vocabulary, torch.randn(3, 5, 16)


def mean_log_probability(decoder: CaptionDecoder, vocabulary: Vocabulary, memory: torch.Tensor, text: str) -> float:
    numbers = torch.tensor([vocabulary.encode(text, "scene")])
    logits, _ = decoder(numbers[:, :-1], decoder.start(memory))
    logits[..., vocabulary.never_said] = -torch.inf
    return logits.log_softmax(-1).gather(2, numbers[:, 1:, None]).mean().item()


def test_cached_steps_equal_one_pass(parts: tuple) -> None:
    decoder, vocabulary, memory = parts
    numbers = torch.randint(0, len(vocabulary), (3, 6))
    whole, _ = decoder(numbers, decoder.start(memory))
    state = decoder.start(memory)
    for place in range(6):
        step, state = decoder(numbers[:, place : place + 1], state)
        torch.testing.assert_close(step[:, 0], whole[:, place], rtol=1e-4, atol=1e-5)


def test_later_words_do_not_change_earlier_logits(parts: tuple) -> None:
    decoder, _, memory = parts
    numbers = torch.randint(0, 10, (3, 6))
    changed = numbers.clone()
    changed[:, 4:] = 1
    first, second = (decoder(n, decoder.start(memory))[0] for n in (numbers, changed))
    torch.testing.assert_close(first[:, :4], second[:, :4])


def test_greedy_takes_the_likeliest_word(parts: tuple) -> None:
    decoder, vocabulary, memory = parts
    said = greedy_search(decoder, vocabulary, memory, "scene")
    numbers = [vocabulary.style("scene")]
    while numbers[-1] != vocabulary.eos and len(numbers) < 8:
        logits, _ = decoder(torch.tensor([numbers]), decoder.start(memory[:1]))
        logits[..., vocabulary.never_said] = -torch.inf
        numbers.append(int(logits[0, -1].argmax()))
    assert said[0] == vocabulary.decode(numbers[1:])


def test_rows_do_not_disturb_each_other_and_search_is_deterministic(parts: tuple) -> None:
    decoder, vocabulary, memory = parts
    together = beam_search(decoder, vocabulary, memory, "report", beams=3)
    assert together == [beam_search(decoder, vocabulary, row[None], "report", beams=3)[0] for row in memory]
    assert together == beam_search(decoder, vocabulary, memory, "report", beams=3)


def test_wide_beams_find_the_likeliest_sentence(parts: tuple) -> None:
    decoder, vocabulary, memory = parts
    found = beam_search(decoder, vocabulary, memory, "scene", beams=8)
    for row, text in zip(memory, found, strict=True):
        best = mean_log_probability(decoder, vocabulary, row[None], text)
        assert best >= mean_log_probability(
            decoder, vocabulary, row[None], greedy_search(decoder, vocabulary, row[None], "scene")[0]
        ) - 1e-5  # fmt: skip
        assert best >= mean_log_probability(decoder, vocabulary, row[None], "a b c.") - 1e-5


def test_sentences_end_where_there_is_no_more_room(parts: tuple) -> None:
    decoder, vocabulary, memory = parts
    with torch.no_grad():
        decoder.words.weight[vocabulary.eos] = 0
        decoder.words.weight[vocabulary.numbers["a"]] = decoder.norm.weight * 0 + 5
        decoder.norm.bias.fill_(1.0)
    for beams in (1, 2):
        assert beam_search(decoder, vocabulary, memory, "scene", beams)[0] == "A" + " a" * 6


def test_no_beam_is_refused(parts: tuple) -> None:
    with pytest.raises(ValueError, match="beams=0"):
        beam_search(*parts, "scene", beams=0)

"""BLEU-4, CIDEr-D and token loss against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from captioning.scores import bleu4, cider_d, token_loss


def test_bleu_of_equal_and_of_foreign_sentences() -> None:
    assert bleu4(["A man walks by the wall."], [["a man walks by the wall ."]]) == pytest.approx(1.0)
    assert bleu4(["one two three four"], [["five six seven eight"]]) == 0.0


def test_bleu_by_hand() -> None:
    # precisions 4/5, 3/4, 2/3, 1/2 multiply to 1/5
    assert bleu4(["a b c d e"], [["a b c d f"]]) == pytest.approx(0.2**0.25, abs=1e-6)
    # all precisions 1, length 4 against 6: brevity penalty exp(1 - 6/4)
    assert bleu4(["a b c d"], [["a b c d e f"]]) == pytest.approx(math.exp(-0.5), abs=1e-6)
    # of several references the nearest length counts
    assert bleu4(["a b c d"], [["a b c d e f", "a b c d"]]) == pytest.approx(1.0)


REFERENCES = [["a cat"], ["a dog"]]


def test_cider_by_hand() -> None:
    # "a" is in both images and weighs 0; "cat" and "a cat" weigh ln 2: cosines 1, 1, 0, 0 -> 10 * 2/4
    assert cider_d(["a cat", "a dog"], REFERENCES) == pytest.approx(5.0)
    assert cider_d(["a cat", "a cat"], REFERENCES) == pytest.approx(2.5)
    # a repeated word is clipped: cosines 1/2 and 1/sqrt(2); one word too long
    repeated = 10 * math.exp(-1 / 72) * (0.5 + math.sqrt(0.5)) / 4
    assert cider_d(["a cat cat", "x y"], REFERENCES) == pytest.approx(repeated / 2)


def test_cider_averages_the_references() -> None:
    assert cider_d(["a cat", "a dog"], [["a cat", "no match here at all"], ["a dog"]]) == pytest.approx(3.75)


def test_sentences_need_references() -> None:
    for score in (bleu4, cider_d):
        with pytest.raises(ValueError, match="references"):
            score(["a"], [])
        with pytest.raises(ValueError, match="references"):
            score(["a"], [[]])


def test_token_loss_leaves_padding_out() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 2] = torch.tensor([9.0, 0.0, 0.0, 0.0])
    targets = torch.tensor([[1, 2, 0]])
    assert token_loss(logits, targets, pad=0).item() == pytest.approx(math.log(4))

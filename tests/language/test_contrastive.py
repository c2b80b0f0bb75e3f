from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.language.contrastive import ContrastiveModel, PairEncoder, recall_at, similarity, standardise
from ldfusion.language.text import TextEncoder

LABELS = ("person", "car", "night")


def tiny_pair(**changes: object) -> PairEncoder:
    torch.manual_seed(0)
    sizes = {"dim": 6, "width": 8, "heads": 2, "layers": 1, "image_size": (16, 32), "patch_size": 8, "labels": LABELS}
    return PairEncoder(**sizes | changes)


def tiny_text(**changes: object) -> TextEncoder:
    sizes = {"dim": 6, "width": 8, "heads": 2, "layers": 1, "context_length": 12, "merges": "0-9", "labels": LABELS}
    return TextEncoder(**sizes | changes)


def pair(batch: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(batch, channels, 20, 36, generator=generator) for channels in (3, 1, 1, 1))


def test_a_pair_of_any_size_gives_one_feature() -> None:
    encoder = tiny_pair().eval()
    features = encoder(*pair())
    assert features.shape == (2, 6)
    assert torch.allclose(encoder(*(x[1:] for x in pair())), features[1:], atol=1e-6)


def test_scale_and_shift_of_the_depth_do_not_matter() -> None:
    encoder = tiny_pair().eval()
    visible, infrared, first, second = pair()
    expected = encoder(visible, infrared, first, second)
    assert torch.allclose(encoder(visible, infrared, 7 * first + 3, 0.1 * second), expected, atol=1e-5)
    assert standardise(torch.full((1, 1, 4, 4), 5.0)).abs().max() == 0


def test_the_model_gives_features_and_labels_of_both_and_every_parameter_learns() -> None:
    model = ContrastiveModel(tiny_text(), tiny_pair())
    out = model(*pair(), model.text.tokenizer(["a person", "a car at night", "fog"]))
    shapes = [tuple(x.shape) for x in out]
    assert shapes == [(2, 6), (3, 6), (2, 3), (3, 3), ()]
    assert out.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-5)
    logits = out.logit_scale * similarity(out.pair, out.text)
    (logits.square().sum() + out.pair_logits.square().sum() + out.text_logits.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_inverse_temperature_is_bounded_by_100() -> None:
    model = ContrastiveModel(tiny_text(), tiny_pair())
    model.pair.logit_scale.data.fill_(9.0)
    assert model(*pair(), model.text.tokenizer(["a"])).logit_scale.item() == pytest.approx(100, rel=1e-5)


def test_towers_that_do_not_fit_are_refused() -> None:
    for changes in ({"dim": 4}, {"labels": ("person",)}):
        with pytest.raises(ValueError, match="same dim and the same labels"):
            ContrastiveModel(tiny_text(), tiny_pair(**changes))


def test_the_pair_encoder_is_saved_and_loaded(tmp_path: Path) -> None:
    encoder = tiny_pair().eval()
    encoder.save_pretrained(tmp_path)
    again = PairEncoder.from_pretrained(tmp_path)
    assert torch.equal(again(*pair()), encoder(*pair())) and again.labels == LABELS


def test_recall_counts_the_own_column_among_the_k_best() -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.5, 0.6], [0.3, 0.3, 0.3]])
    # own ranks: first, third, and last of equals
    assert recall_at(similarities, 1) == pytest.approx(1 / 3)
    assert recall_at(similarities, 2) == pytest.approx(1 / 3)
    assert recall_at(similarities, 3) == 1.0


def test_similarity_is_the_cosine() -> None:
    a, b = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0], [0.0, -2.0]])
    assert torch.allclose(similarity(a, b), torch.tensor([[24 / 25, -4 / 5]]))

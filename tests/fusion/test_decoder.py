from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ldfusion.fusion.decoder import FusionDecoder, details

CHANNELS, WIDTHS, TEXT = (4, 6, 8), (8, 6, 4), 10


def build(text_dim: int = TEXT) -> FusionDecoder:
    torch.manual_seed(0)
    return FusionDecoder(CHANNELS, 2, WIDTHS, text_dim, hidden=12)


def inputs(batch: int = 2) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(batch, 2 * c, 16 >> k, 24 >> k, generator=generator) for k, c in enumerate(CHANNELS)]
    stack = torch.rand(batch, 4, 16, 24, generator=generator) * 2 - 1
    return features, stack, torch.randn(batch, TEXT, generator=generator)


@pytest.mark.parametrize("text_dim", [TEXT, 0])
def test_every_parameter_of_every_level_gets_a_gradient(text_dim: int) -> None:
    decoder = build(text_dim)
    features, stack, text = inputs()
    decoder(features, stack, text if text_dim else None).square().mean().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    modulated = [name for name, _ in decoder.named_parameters() if name.startswith("modulation")]
    assert len(modulated) == (4 * len(WIDTHS) if text_dim else 0)


def test_every_level_of_the_features_changes_the_image() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    with torch.no_grad():
        whole = decoder(features, stack, text)
        for level in range(len(CHANNELS)):
            without = [torch.zeros_like(f) if k == level else f for k, f in enumerate(features)]
            assert not torch.equal(decoder(without, stack, text), whole), level


def test_another_sentence_gives_another_image() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    with torch.no_grad():
        first, second = decoder(features, stack, text), decoder(features, stack, -text)
    assert (first - second).abs().max() > 1e-5
    assert first.shape == (2, 3, 16, 24)


def test_it_starts_as_the_mean_of_both_images() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    with torch.no_grad():
        fused = decoder(features, stack, text)
    mean = (stack[:, :3] + stack[:, 3:]) / 4 + 0.5
    assert (fused - mean).abs().mean() < 0.03


def test_values_are_clamped_in_evaluation_and_free_in_training() -> None:
    decoder = build()
    with torch.no_grad():
        decoder.head.bias.copy_(torch.tensor([0.0] * 5 + [2.0] * 3))
    features, stack, text = inputs()
    assert decoder.train()(features, stack, text).max() > 1.5
    fused = decoder.eval()(features, stack, text)
    assert fused.min() >= 0 and fused.max() == 1


def test_a_missing_sentence_and_wrong_levels_are_refused() -> None:
    features, stack, _ = inputs()
    with pytest.raises(ValueError, match="'text' is needed"):
        build()(features, stack)
    with pytest.raises(ValueError, match="2 widths for 3 feature levels"):
        FusionDecoder(CHANNELS, 2, (8, 8), TEXT)


def test_saved_and_loaded_gives_the_same_image(tmp_path: Path) -> None:
    decoder = build().eval()
    decoder.save_pretrained(tmp_path)
    again = FusionDecoder.from_pretrained(tmp_path, use_safetensors=True).eval()
    with torch.no_grad():
        assert torch.equal(decoder(*inputs()), again(*inputs()))
    assert again.config["widths"] == list(WIDTHS) and again.config["text_dim"] == TEXT


def test_details_are_what_local_means_take_away() -> None:
    flat = torch.full((1, 4, 24, 24), 0.3)
    assert details(flat).abs().max() < 1e-6
    dot = torch.zeros(1, 4, 25, 25)
    dot[:, 3, 12, 12] = 2.0  # one infrared pixel of full range
    found = details(dot)
    assert found.shape == (1, 4, 25, 25)
    assert found[:, [0, 2]].abs().max() < 1e-6  # visible luma has none
    assert found[0, 1, 12, 12] == pytest.approx(1 - 1 / 9, abs=1e-6)
    assert found[0, 3, 12, 12] == pytest.approx(1 / 9 - 1 / 81, abs=1e-6)
    assert found.sum(dim=(2, 3)).abs().max() < 1e-4

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ldfusion.fusion.decoder import HISTOGRAM, FusionDecoder, clean_input
from ldfusion.fusion.grid import AXES, COEFFICIENTS, starting_coefficients
from ldfusion.fusion.tone import CONTROLS

CHANNELS, WIDTHS, TEXT = (4, 6, 8), (8, 6, 4), 10


def build(text_dim: int = TEXT) -> FusionDecoder:
    torch.manual_seed(0)
    return FusionDecoder(CHANNELS, 2, WIDTHS, nodes=3, text_dim=text_dim, hidden=12)


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


def test_every_level_of_the_features_and_the_clean_stack_change_the_grid() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    with torch.no_grad():
        whole = decoder(features, stack, text)
        for level in range(len(CHANNELS)):
            without = [torch.zeros_like(f) if k == level else f for k, f in enumerate(features)]
            assert not torch.equal(decoder(without, stack, text), whole), level
        assert not torch.equal(decoder(features, -stack, text), whole)


def test_without_timesteps_only_the_clean_stack_is_seen() -> None:
    torch.manual_seed(0)
    decoder = FusionDecoder(CHANNELS, 0, WIDTHS, nodes=3, text_dim=0, hidden=12).eval()
    features, stack, _ = inputs()
    with torch.no_grad():
        assert torch.equal(decoder(features, stack), decoder([f + 1 for f in features], stack))


def test_another_sentence_and_another_tone_give_another_grid() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    with torch.no_grad():
        first = decoder(features, stack, text)
        assert (first - decoder(features, stack, -text)).abs().max() > 1e-5
        assert torch.equal(first, decoder(features, stack, text, torch.zeros(1, CONTROLS)))
        for control in range(CONTROLS):
            tone = torch.eye(CONTROLS)[control : control + 1]
            assert (first - decoder(features, stack, text, tone)).abs().max() > 1e-5
    assert first.shape == (2, AXES, COEFFICIENTS, 3, 4, 6)


def test_it_starts_near_the_starting_coefficients() -> None:
    decoder = build().eval()
    with torch.no_grad():
        grid = decoder(*inputs())
    assert (grid.sum(dim=1) - starting_coefficients()[None, :, None, None, None]).abs().max() < 0.2


def test_the_exposure_follows_the_whole_picture() -> None:
    """One bright corner changes the coefficients of the opposite one, far beyond what the convolutions see."""
    torch.manual_seed(0)
    decoder = FusionDecoder((4,), 1, (8,), nodes=2, text_dim=0, hidden=12).eval()
    dark = torch.full((1, 4, 64, 64), -0.9)
    lit = dark.clone()
    lit[..., :8, :8] = 0.9
    features = [torch.zeros(1, 4, 64, 64)]
    with torch.no_grad():
        first, second = decoder(features, dark), decoder(features, lit)
    far = (..., slice(40, 60), slice(40, 60))
    assert (first[far] - second[far]).abs().max() > 1e-5


def test_what_is_known_of_the_picture_can_be_held() -> None:
    decoder = build().eval()
    features, stack, text = inputs()
    seen: list[Tensor] = []

    def keep(known: Tensor) -> Tensor:
        seen.append(known)
        return seen[0]

    with torch.no_grad():
        first = decoder(features, stack, text, steady=keep)
        assert torch.equal(first, decoder(features, stack, text))
        other = decoder(features, stack.flip(0), text, steady=keep)
        assert not torch.equal(other, decoder(features, stack.flip(0), text))
    assert seen[0].shape == (2, WIDTHS[-1] + 2 * HISTOGRAM)
    histograms = seen[0][:, WIDTHS[-1] :].unflatten(1, (2, HISTOGRAM))
    assert torch.allclose(histograms.mean(dim=2), torch.ones(2, 2), atol=1e-5)


def test_the_clean_input_holds_the_maximum_and_the_difference() -> None:
    stack = torch.tensor([1.0, 1.0, 1.0, -0.5]).view(1, 4, 1, 1)
    assert clean_input(stack).flatten().tolist() == pytest.approx([1.0, 1.0, 1.0, -0.5, 1.0, 0.75])


def test_a_missing_sentence_and_wrong_levels_are_refused() -> None:
    features, stack, _ = inputs()
    with pytest.raises(ValueError, match="'text' is needed"):
        build()(features, stack)
    with pytest.raises(ValueError, match="2 widths for 3 feature levels"):
        FusionDecoder(CHANNELS, 2, (8, 8), text_dim=TEXT)


def test_saved_and_loaded_gives_the_same_grid(tmp_path: Path) -> None:
    decoder = build().eval()
    decoder.save_pretrained(tmp_path)
    again = FusionDecoder.from_pretrained(tmp_path, use_safetensors=True).eval()
    with torch.no_grad():
        assert torch.equal(decoder(*inputs()), again(*inputs()))
    assert again.config["widths"] == list(WIDTHS) and again.config["text_dim"] == TEXT

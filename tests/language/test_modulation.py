from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ldfusion.language.modulation import TextModulation, modulate


def test_modulate_is_one_plus_gamma_times_x_plus_beta() -> None:
    x = torch.full((1, 2, 2, 3), 2.0)
    gamma = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1)
    beta = torch.tensor([0.25, 3.0]).view(1, 2, 1, 1)
    y = modulate(x, gamma, beta)
    assert torch.equal(y[0, 0], torch.full((2, 3), 3.25))
    assert torch.equal(y[0, 1], torch.full((2, 3), 3.0))


def test_one_gamma_and_beta_for_every_level_and_channel() -> None:
    torch.manual_seed(0)
    network = TextModulation(text_dim=8, channels=(6, 4, 2), hidden=16)
    modulations = network(torch.randn(3, 8))
    assert [tuple(gamma.shape) for gamma, _ in modulations] == [(3, 6, 1, 1), (3, 4, 1, 1), (3, 2, 1, 1)]
    assert [tuple(beta.shape) for _, beta in modulations] == [(3, 6, 1, 1), (3, 4, 1, 1), (3, 2, 1, 1)]


def test_it_starts_near_the_identity_but_differs_between_sentences() -> None:
    torch.manual_seed(0)
    network = TextModulation(text_dim=128, channels=(64, 32), hidden=256)
    text = torch.randn(2, 128)
    x = torch.randn(2, 64, 4, 4)
    gamma, beta = network(text)[0]
    y = modulate(x, gamma, beta)
    assert 0 < (y - x).abs().mean() < 0.2 * x.abs().mean()
    assert not torch.allclose(gamma[0], gamma[1])


def test_every_parameter_gets_a_gradient_at_the_start() -> None:
    torch.manual_seed(0)
    network = TextModulation(text_dim=8, channels=(6, 4), hidden=16)
    loss = torch.stack([modulate(torch.ones(2, 1, 3, 3), g, b).square().mean() for g, b in network(torch.randn(2, 8))])
    loss.sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_saved_and_loaded_gives_the_same_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = TextModulation(text_dim=8, channels=(6, 4), hidden=16)
    network.save_pretrained(tmp_path)
    again = TextModulation.from_pretrained(tmp_path)
    text = torch.randn(2, 8)
    for (gamma, beta), (gamma_again, beta_again) in zip(network(text), again(text), strict=True):
        assert torch.equal(gamma, gamma_again) and torch.equal(beta, beta_again)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("sizes", [{"channels": ()}, {"channels": (4, 0)}, {"text_dim": 0}, {"hidden": 0}])
def test_impossible_sizes_are_refused(sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TextModulation(**sizes)


def test_a_text_feature_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(B, 8\), got \(2, 9\)"):
        TextModulation(text_dim=8, channels=(4,))(torch.zeros(2, 9))

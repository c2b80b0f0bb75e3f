from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from ldfusion.diffusion.denoiser import build_denoiser, noise_prediction_loss, seeded_noise, seeded_timesteps
from ldfusion.diffusion.schedule import make_schedule
from ldfusion.errors import InputError
from ldfusion.recipes import load

PUBLISHED_PARAMETERS = 370_063_492
"""Dif-Fusion's own network, counted in the authors' released code."""


def test_the_default_is_small_and_keeps_the_size() -> None:
    torch.manual_seed(0)
    network = build_denoiser()
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
    out = network(torch.randn(2, 4, 24, 40), torch.tensor([3, 500])).sample
    assert out.shape == (2, 4, 24, 40)


def test_every_parameter_of_the_network_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = build_denoiser((8, 16, 16), groups=4, attention=True)
    stack = torch.rand(2, 4, 16, 24) * 2 - 1
    noise_prediction_loss(network, make_schedule(), stack, torch.tensor([1, 2])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_large_recipe_is_the_published_layout(repository: Path) -> None:
    with torch.device("meta"):  # no memory is taken
        model = load(repository / "configs" / "denoiser-large.yaml").model
        network = build_denoiser(**{name: value for name, value in model.items() if name != "schedule"})
    assert network.config.block_out_channels == (128, 256, 512, 1024, 1024)
    assert network.config.dropout == 0.2
    assert sum(type(m).__name__ == "Attention" for m in network.modules()) == 1  # in the middle block only

    # UNet2DModel differs from the paper's network in three places, which account for every parameter in between:
    blocks = [c * n for c in network.config.block_out_channels for n in (2, 3)] + [1024, 1024]
    wider_time_feature = (512 - 128) * sum(blocks)  # each residual block reads 512 numbers of the noise level, not 128
    time_network = (512 * 512 + 512) - (512 * 128 + 128)  # which is what the network of the noise level puts out
    attention_bias = 3 * 1024  # queries, keys and values have a bias
    extra = wider_time_feature + time_network + attention_bias
    assert sum(p.numel() for p in network.parameters()) == PUBLISHED_PARAMETERS + extra == 376_702_468


def test_noise_of_a_sample_depends_on_its_seed_alone() -> None:
    like = torch.zeros(3, 4, 8, 8)
    noise = seeded_noise(like, torch.tensor([5, 6, 5]))
    assert torch.equal(noise[0], noise[2]) and not torch.equal(noise[0], noise[1])
    assert torch.equal(seeded_noise(like[:1], torch.tensor([6]))[0], noise[1])
    assert noise.mean().abs() < 0.1 and noise.std() == pytest.approx(1, abs=0.1)
    state = torch.get_rng_state()
    seeded_noise(like, torch.tensor([1, 2, 3]))
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone


def test_timesteps_are_spread_over_the_whole_schedule() -> None:
    seeds = torch.arange(2000)
    t = seeded_timesteps(2000, seeds)
    assert torch.equal(t[:7], seeded_timesteps(2000, seeds[:7]))
    assert t.min() >= 0 and t.max() < 2000
    assert t.float().mean().item() == pytest.approx(1000, rel=0.05)
    assert torch.histc(t.float(), 10, 0, 2000).min() > 140


def test_the_loss_is_one_for_a_network_that_predicts_nothing() -> None:
    network = build_denoiser((8, 8), groups=4)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    stack = torch.rand(4, 4, 32, 32) * 2 - 1
    loss = noise_prediction_loss(network, make_schedule(), stack, torch.arange(4))
    assert loss.item() == pytest.approx(1, abs=0.03)  # the variance of the noise


def test_the_loss_is_the_mean_of_the_samples_losses() -> None:
    torch.manual_seed(0)
    network, schedule = build_denoiser((8, 8), groups=4), make_schedule()
    stack, seeds = torch.rand(3, 4, 16, 16) * 2 - 1, torch.tensor([4, 9, 2])
    with torch.no_grad():
        whole = noise_prediction_loss(network, schedule, stack, seeds)
        parts = [noise_prediction_loss(network, schedule, stack[k : k + 1], seeds[k : k + 1]) for k in range(3)]
    assert whole.item() == pytest.approx(sum(p.item() for p in parts) / 3, rel=1e-5)


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_denoiser((8, 16), groups=4).eval()
    network.save_pretrained(tmp_path)
    again = UNet2DModel.from_pretrained(tmp_path, use_safetensors=True).eval()
    x = torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(x, 7).sample, again(x, 7).sample)


@pytest.mark.parametrize(("channels", "groups"), [([], 8), ([8, 12], 8), ([8], 0)])
def test_widths_that_the_groups_do_not_divide_are_refused(channels: list[int], groups: int) -> None:
    with pytest.raises(InputError, match=r"multiple of model\.groups"):
        build_denoiser(channels, groups=groups)

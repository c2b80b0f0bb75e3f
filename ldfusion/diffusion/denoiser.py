"""The noise-prediction network: a `diffusers.UNet2DModel` on the stack [R, G, B, IR]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch import Tensor

from ldfusion.errors import InputError


def build_denoiser(
    channels: Sequence[int] = (16, 32, 64, 96),
    layers: int = 1,
    groups: int = 8,
    attention: bool = False,
    dropout: float = 0.0,
) -> UNet2DModel:
    """A four-channel noise-prediction network, eps_theta(x_t, t) (B, 4, H, W) -> (B, 4, H, W).

    Height and width must be divisible by ``2 ** (len(channels) - 1)``.

    Args:
        channels: width of every resolution, finest first. Dif-Fusion's are (128, 256, 512, 1024, 1024).
        layers: residual blocks a level on the way down (one more on the way up).
        groups: groups of the group normalisation; divides every width.
        attention: self-attention at the coarsest level. Off by default: its cost grows with the square of the image
            and it would tie distant tiles of a large image together.
        dropout: dropout inside the residual blocks.

    Raises:
        InputError: no width at all, or one that ``groups`` does not divide.
    """
    levels = len(channels)
    if not channels or groups < 1 or any(c < 1 or c % groups for c in channels):
        raise InputError(f"model.channels={list(channels)}: each must be a multiple of model.groups={groups}")
    return UNet2DModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        norm_num_groups=groups,
        dropout=dropout,
        add_attention=attention,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
    )


def seeded_noise(like: Tensor, seeds: Tensor) -> Tensor:
    """Standard normal noise like ``like`` (B, ...), the noise of sample ``i`` from ``seeds[i]`` alone.

    Drawn on the CPU, so that the same seed gives the same noise on every device.
    """
    rows = []
    for seed in seeds.tolist():
        generator = torch.Generator("cpu").manual_seed(seed)
        rows.append(torch.randn(like.shape[1:], generator=generator))
    return torch.stack(rows).to(like.device, like.dtype)


def seeded_timesteps(steps: int, seeds: Tensor) -> Tensor:
    """Uniform timestep indices in 0..steps-1 (B,), each from its own seed."""
    draws = [
        torch.randint(steps, (1,), generator=torch.Generator("cpu").manual_seed(s ^ 0x5DEECE66D))
        for s in seeds.tolist()
    ]
    return torch.cat(draws).to(seeds.device)


def noise_prediction_loss(network: torch.nn.Module, schedule: DDPMScheduler, stack: Tensor, seeds: Tensor) -> Tensor:
    """Self-supervised noise prediction, |eps - eps_theta(x_t, t)|^2 averaged (Ho et al. 2020, eq. 14).

    Args:
        stack: clean samples (B, 4, H, W) in [-1, 1].
        seeds: int64 (B,), the seeds of noise and timestep of each sample.
    """
    noise = seeded_noise(stack, seeds)
    t = seeded_timesteps(schedule.config.num_train_timesteps, seeds)
    noisy = schedule.add_noise(stack, noise, t)
    prediction = network(noisy, t).sample
    return torch.nn.functional.mse_loss(prediction.float(), noise)

"""Multi-timestep features of the noise-prediction network (Dif-Fusion, Yue et al. 2023, section III-B)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from ldfusion.diffusion.schedule import make_schedule
from ldfusion.errors import InputError

TIMESTEPS = (5, 50, 100)
"""Timesteps (counted from 1) of Dif-Fusion's released configuration."""


class FeatureExtractor(nn.Module):
    """Decoder activations of the noise-prediction network at several noise levels, in one batched pass.

    Args:
        denoiser: the trained network.
        schedule: kind of the noise schedule; the one it was trained with.
        timesteps: noise levels, counted from 1. An empty list feeds the clean stack once (a plain encoder).
    """

    def __init__(self, denoiser: UNet2DModel, schedule: str = "linear", timesteps: Sequence[int] = TIMESTEPS) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.schedule = make_schedule(schedule)
        self.timesteps = tuple(timesteps)
        self.check_timesteps(self.timesteps)

    def check_timesteps(self, timesteps: Sequence[int]) -> None:
        """Raise `InputError` unless there are as many timesteps as the features are made of, all within 1..T."""
        if not isinstance(timesteps, Sequence) or not all(isinstance(t, int) for t in timesteps):
            raise InputError(f"timesteps: {timesteps!r} is no list of whole numbers; give some like [5, 50, 100]")
        if len(timesteps) != len(self.timesteps):
            raise InputError(f"timesteps: features are taken at {len(self.timesteps)} of them, got {len(timesteps)}")
        steps = self.schedule.config.num_train_timesteps
        for t in timesteps:
            if not 1 <= t <= steps:
                raise InputError(f"timesteps: {t} is outside 1..{steps}")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of one timestep's features, finest level first."""
        return tuple(self.denoiser.config.block_out_channels)

    @property
    def multiple(self) -> int:
        """Height and width of the input must be divisible by this."""
        return int(2 ** (len(self.channels) - 1))

    def forward(self, stack: Tensor, noise: Tensor | None, timesteps: Sequence[int] | None = None) -> list[Tensor]:
        """Features of every level.

        Args:
            stack: [R, G, B, IR] (B, 4, H, W) in [-1, 1]; H and W divisible by `multiple`.
            noise: standard normal (B, 4, H, W), shared by all timesteps; None only without timesteps.
            timesteps: other noise levels than those of the constructor, as many; counted from 1.

        Returns:
            One tensor a level, finest first, (B, T * C_l, H / 2^l, W / 2^l). Gradients flow to the stack and the
            network unless the caller turned them off.

        Raises:
            InputError: a timestep outside 1..T.
            ValueError: no noise for noisy timesteps.
        """
        levels = self.timesteps if timesteps is None else tuple(timesteps)
        self.check_timesteps(levels)
        b = stack.shape[0]
        if levels:
            if noise is None:
                raise ValueError("noise is needed when features are taken at noisy timesteps")
            index = torch.tensor([t - 1 for t in levels], device=stack.device).repeat_interleave(b)
            inputs = self.schedule.add_noise(
                stack.repeat(len(levels), 1, 1, 1), noise.repeat(len(levels), 1, 1, 1), index
            )
        else:
            index, inputs = torch.zeros(b, dtype=torch.long, device=stack.device), stack
        n = max(len(levels), 1)
        return [torch.cat(f.chunk(n), dim=1) for f in self._activations(inputs, index)]

    def _activations(self, inputs: Tensor, index: Tensor) -> list[Tensor]:
        """Decoder activations of one pass, finest first. The hooks live as long as the pass and no longer.

        Permanent ones would keep every later activation alive, and a copy of this module (the moving average of a
        training) would still write into the original.
        """
        taken: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            taken.append(output)

        with ExitStack() as hooks:
            for block in self.denoiser.up_blocks:
                # the last residual block of a level has seen every skip connection of that level
                hooks.callback(block.resnets[-1].register_forward_hook(keep).remove)
            self.denoiser(inputs, index)
        return taken[::-1]


def pipeline_noise(
    size: tuple[int, int, int], seed: int | None, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """The extractor's noise (B, 4, H, W): every image of a batch gets the noise that it would get alone.

    Args:
        size: (B, H, W).
        seed: seed of the noise when no generator is given.
        generator: a CPU generator that the noise is drawn from instead.

    Returns:
        float32.

    Raises:
        InputError: the generator is none, or not the CPU's.
    """
    if generator is not None and not (isinstance(generator, torch.Generator) and generator.device.type == "cpu"):
        raise InputError(f"generator: {generator!r}: give a torch.Generator of the CPU")
    b, h, w = size
    source = generator if generator is not None else torch.Generator("cpu").manual_seed(0 if seed is None else seed)
    noise = torch.randn((1, 4, h, w), generator=source)
    return noise.expand(b, -1, -1, -1).to(device)

"""Stage ``denoiser``: self-supervised noise prediction on the four-channel stack."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from ldfusion.config import Experiment, check_keys
from ldfusion.diffusion.denoiser import build_denoiser, noise_prediction_loss, seeded_noise
from ldfusion.diffusion.schedule import make_schedule
from ldfusion.io.color import from_stack, to_stack
from ldfusion.training.stages import Measured, Stage, check_crop

LEVELS = (5, 50, 100, 500, 1000)
SHOWN = 500
"""Timesteps of the validation."""


class DenoiserStage(Stage[UNet2DModel]):
    """Trains eps_theta of Dif-Fusion's first step; ``model.schedule`` is ``linear`` or ``cosine``."""

    sheet = "denoised.png"
    every, most = 1, 4

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment)
        model, data = experiment.model, experiment.data
        check_keys(model, [*inspect.signature(build_denoiser).parameters, "schedule"], "model")
        self.network = build_denoiser(**{key: value for key, value in model.items() if key != "schedule"})
        check_crop(data, 2 ** (len(self.network.up_blocks) - 1))
        self.schedule = make_schedule(model.get("schedule", "linear"))

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Noise-prediction error of the stack (B, 4, h, w), see `noise_prediction_loss`."""
        stack = to_stack(batch["visible"], batch["infrared"])
        return {"loss": noise_prediction_loss(network, self.schedule, stack, batch["seed"])}

    def measure(self, network: UNet2DModel, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """Noise-prediction error at fixed timesteps (the same noise every time), and a denoised pair."""
        stack = to_stack(batch["visible"], batch["infrared"])
        noise = seeded_noise(stack, torch.full((len(stack),), number))
        errors: dict[str, float] = {}
        row = None
        for t in LEVELS:
            index = torch.full((len(stack),), t - 1, device=stack.device)
            noisy = self.schedule.add_noise(stack, noise, index)
            predicted = network(noisy, index).sample.float()
            errors[f"mse_t{t}"] = torch.nn.functional.mse_loss(predicted, noise).item()
            if t == SHOWN and shown:
                a = self.schedule.alphas_cumprod[t - 1].to(stack.device)
                clean = (noisy - (1 - a).sqrt() * predicted) / a.sqrt()
                views = [from_stack(x.clamp(-1, 1)) for x in (noisy, clean, stack)]
                row = torch.cat([torch.cat([v, i.expand(-1, 3, -1, -1)], dim=3) for v, i in views], dim=3)[0]
        return Measured(errors, row)

"""Stage ``denoiser``: self-supervised noise prediction on the four-channel stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ldfusion.config import DataConfig, check_arguments, check_keys
from ldfusion.diffusion.denoiser import build_denoiser, noise_prediction_loss, seeded_noise
from ldfusion.diffusion.schedule import make_schedule
from ldfusion.io.color import from_stack, to_stack
from ldfusion.io.image import write_png
from ldfusion.training.stages import check_crop


class DenoiserStage:
    """Trains eps_theta of Dif-Fusion's first step; ``loss.schedule`` is ``linear`` or ``cosine``."""

    dataset_options: ClassVar[dict[str, bool]] = {}

    def __init__(self, model: Mapping[str, Any], loss: Mapping[str, Any], data: DataConfig) -> None:
        check_arguments(build_denoiser, model, "model")
        check_keys(loss, ("schedule",), "loss")
        self.network: nn.Module = build_denoiser(**model)
        check_crop(data, 2 ** (len(self.network.up_blocks) - 1))
        self.schedule = make_schedule(loss.get("schedule", "linear"))
        self.kind = loss.get("schedule", "linear")

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        stack = to_stack(batch["visible"], batch["infrared"])
        return {"loss": noise_prediction_loss(network, self.schedule, stack, batch["seed"])}

    def validate(self, network: nn.Module, loader: DataLoader[dict[str, Any]], folder: Path) -> dict[str, float]:
        """Noise-prediction error at fixed timesteps (the same noise every time) and one picture of denoised pairs."""
        device = next(network.parameters()).device
        levels = (5, 50, 100, 500, 1000)
        errors: dict[int, list[float]] = {t: [] for t in levels}
        rows = []
        for number, batch in enumerate(loader):
            stack = to_stack(batch["visible"], batch["infrared"]).to(device)
            noise = seeded_noise(stack, torch.full((len(stack),), number))
            for t in levels:
                index = torch.full((len(stack),), t - 1, device=device)
                noisy = self.schedule.add_noise(stack, noise, index)
                predicted = network(noisy, index).sample.float()
                errors[t].append(torch.nn.functional.mse_loss(predicted, noise).item())
                if t == 500 and number < 4:
                    a = self.schedule.alphas_cumprod[t - 1].to(device)
                    clean = (noisy - (1 - a).sqrt() * predicted) / a.sqrt()
                    views = [from_stack(x.clamp(-1, 1)) for x in (noisy, clean, stack)]
                    rows.append(torch.cat([torch.cat([v, i.expand(-1, 3, -1, -1)], dim=3) for v, i in views], dim=3)[0])
        write_png(folder / "denoised.png", torch.cat(rows, dim=1).cpu())
        return {f"mse_t{t}": sum(e) / len(e) for t, e in errors.items()}

    def export(self, network: nn.Module, folder: Path) -> None:
        assert isinstance(network, UNet2DModel)
        network.save_pretrained(folder)

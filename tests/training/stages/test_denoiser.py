from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.diffusion.denoiser import noise_prediction_loss
from ldfusion.diffusion.schedule import make_schedule
from ldfusion.io.color import to_stack
from ldfusion.io.image import read_visible
from ldfusion.training.stages.denoiser import DenoiserStage

Tiny = Callable[..., Experiment]


def build(experiment: Experiment) -> DenoiserStage:
    torch.manual_seed(0)
    return DenoiserStage(experiment)


def test_a_step_is_the_noise_prediction_loss_of_the_stack(tiny: Tiny) -> None:
    experiment = tiny()
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    batch = collate([dataset[k] for k in range(3)])
    losses = stage.training_step(stage.network, batch, 0)
    assert losses.keys() == {"loss"}
    stack = to_stack(batch["visible"], batch["infrared"])
    expected = noise_prediction_loss(stage.network, make_schedule("linear"), stack, batch["seed"])
    assert losses["loss"].item() == expected.item()
    losses["loss"].backward()
    assert all(p.grad is not None for p in stage.network.parameters())


def test_the_schedule_is_that_of_the_configuration(tiny: Tiny) -> None:
    stage = build(tiny("denoiser", "model.schedule=cosine"))
    assert torch.equal(stage.schedule.alphas_cumprod, make_schedule("cosine").alphas_cumprod)


def test_training_lowers_the_loss_of_a_batch(tiny: Tiny) -> None:
    experiment = tiny()
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True)
    batch = collate([dataset[k] for k in range(4)])
    optimizer = torch.optim.AdamW(stage.network.parameters(), lr=3e-3)
    values = []
    for step in range(25):
        loss = stage.training_step(stage.network, batch, step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.8 * values[0]


def test_validation_is_repeatable_and_shows_what_it_sees(tiny: Tiny, tmp_path: Path) -> None:
    experiment = tiny()
    stage = build(experiment)
    loader = validation_loader(build_dataset(experiment.data, 0, False))
    with torch.no_grad():
        first, second = (stage.validate(stage.network.eval(), loader, tmp_path) for _ in range(2))
    assert first == second
    assert list(first) == ["mse_t5", "mse_t50", "mse_t100", "mse_t500", "mse_t1000"]
    assert all(value == pytest.approx(1, abs=0.5) for value in first.values())
    picture, _ = read_visible(tmp_path / "denoised.png")
    # two pairs below each other; noisy, denoised and clean, each visible beside infrared
    assert picture.shape == (3, 2 * 32, 3 * 2 * 48)


def test_the_export_loads(tiny: Tiny, tmp_path: Path) -> None:
    stage = build(tiny())
    stage.export(stage.network, tmp_path)
    again = UNet2DModel.from_pretrained(tmp_path, use_safetensors=True)
    assert again.config.block_out_channels == [8, 16, 16]
    for (name, value), (_, other) in zip(stage.network.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(value, other), name

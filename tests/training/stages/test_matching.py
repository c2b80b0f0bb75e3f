from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.errors import InputError
from ldfusion.io.image import read_visible
from ldfusion.registration.correspond import cell_centres
from ldfusion.registration.descriptors import MatchingNetwork
from ldfusion.registration.warp import warp_image
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.matching import MatchingStage, _cross_entropy

Tiny = Callable[..., Experiment]


def build(experiment: Experiment) -> MatchingStage:
    torch.manual_seed(0)
    stage = build_stage(experiment)
    assert isinstance(stage, MatchingStage)
    return stage


def test_the_truth_maps_one_window_onto_the_other(tiny: Tiny) -> None:
    """With infrared = visible luma, the truth must take one window to the other."""
    experiment = tiny("matching", "loss.invert=0", "loss.grey=0", "loss.black=0", "loss.shift=0.05")
    stage = build(experiment)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 1, 16, 20), (64, 80), mode="bicubic").clamp(0, 1)
    batch = {"visible": smooth.expand(-1, 3, -1, -1), "infrared": smooth, "seed": torch.tensor([3, 4])}
    visible, infrared, truth = stage.warped(batch)
    assert visible.shape == (2, 3, 48, 64) and infrared.shape == (2, 1, 48, 64)
    for k in range(2):
        again = warp_image(visible[k : k + 1, :1], truth[k], (48, 64))
        error = (again - infrared[k : k + 1])[..., 12:-12, 16:-16].abs()
        assert error.mean() < 0.02
        assert (visible[k, :1] - infrared[k])[..., 12:-12, 16:-16].abs().mean() > 3 * error.mean()


def test_perfect_descriptors_have_a_small_loss() -> None:
    field = torch.nn.functional.normalize(torch.randn(1, 64, 12, 16), dim=1)
    sharp, flat = torch.full((1, 1, 12, 16), 40.0), torch.ones(1, 1, 12, 16)
    rng = np.random.default_rng(0)
    same = [np.eye(3)]
    assert _cross_entropy(field, sharp, field, same, rng, 100) < 0.05
    assert _cross_entropy(field, flat, field, same, rng, 100) > 3
    shifted = [np.array([[1.0, 0, 4], [0, 1, 0], [0, 0, 1]])]  # one cell to the right
    assert _cross_entropy(field, sharp, field, shifted, rng, 100) > 10
    assert _cross_entropy(field[..., :-1], sharp[..., :-1], field.roll(1, 3), shifted, rng, 100) < 0.05
    nowhere = [np.array([[1.0, 0, 4000], [0, 1, 0], [0, 0, 1]])]
    assert _cross_entropy(field, sharp, field, nowhere, rng, 100) == 0
    assert len(cell_centres(12, 16)) == 192


def test_training_lowers_the_loss_and_the_export_loads(tiny: Tiny, tmp_path: Path) -> None:
    experiment = tiny("matching")
    stage = build(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    optimizer = torch.optim.AdamW(stage.network.parameters(), lr=5e-3)
    batch = collate([dataset[k] for k in range(4)])
    losses = []
    for _ in range(15):
        figures = stage.training_step(stage.network, batch, 0)
        assert figures.keys() == {"loss", "kappa"}
        losses.append(figures["loss"].item())
        optimizer.zero_grad()
        figures["loss"].backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.3
    loader = validation_loader(build_dataset(experiment.data, 0, False, **stage.dataset_options))
    with torch.no_grad():
        found = stage.validate(stage.network.eval(), loader, tmp_path)
    assert 0 <= found["within_4px"] <= found["within_8px"] <= found["within_16px"] <= 1
    assert read_visible(tmp_path / "matching.png")[0].shape == (3, 48, 4 * 64)
    stage.export(stage.network, tmp_path / "weights")
    assert MatchingNetwork.from_pretrained(tmp_path / "weights", use_safetensors=True).config["dim"] == 16


@pytest.mark.parametrize(
    ("word", "expected"),
    [("data.crop=[60,80]", "multiples of 16"), ("model.dims=3", "'dim'"), ("loss.row=3", "did you mean 'rows'")],
)
def test_mistakes(tiny: Tiny, word: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        build(tiny("matching", word))

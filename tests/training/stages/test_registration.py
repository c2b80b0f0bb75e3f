from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ldfusion.config import DataConfig, Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.errors import InputError
from ldfusion.io.image import read_visible
from ldfusion.registration.affine import AffineNetwork
from ldfusion.registration.published import load_network
from ldfusion.registration.voxelmorph import VoxelMorph
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.registration import RegistrationLoss, RegistrationStage, Windows

Tiny = Callable[..., Experiment]


def build(experiment: Experiment) -> RegistrationStage:
    torch.manual_seed(0)
    stage = build_stage(experiment)
    assert isinstance(stage, RegistrationStage)
    return stage


def batch_of(experiment: Experiment, stage: RegistrationStage, count: int = 3) -> dict[str, torch.Tensor]:
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    return collate([dataset[k] for k in range(count)])


def test_samples_hold_what_the_truth_says(tiny: Tiny) -> None:
    experiment = tiny("registration-voxelmorph", "model.inputs=[grey,masks]")
    stage = build(experiment)
    batch = batch_of(experiment, stage)
    batch["infrared"] = batch["visible"].mean(1, keepdim=True)  # one sensor, so that the truth can be seen
    batch["visible"] = batch["infrared"].expand(-1, 3, -1, -1)
    sample = stage.sample(batch, batch["seed"])
    assert sample.moving.shape == sample.fixed.shape == (3, 2, 48, 64)
    assert isinstance(stage.network, VoxelMorph)
    identity = torch.eye(3).expand(3, 3, 3)
    assert (sample.backward - identity).abs().amax((1, 2)).min() > 0.01
    # warping by the true displacement brings the moving window onto the fixed one, grey and mask alike
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1) @ sample.backward.transpose(1, 2)[:, None]
    flow = (points[..., :2] / points[..., 2:] - torch.stack([x, y], -1)).permute(0, 3, 1, 2)
    warped = stage.network.warp(sample.moving, flow)
    inside = (stage.network.warp(torch.ones_like(sample.moving), flow) > 0.999)[:, :1]
    for channel in (0, 1):
        error = (warped - sample.fixed)[:, channel : channel + 1][inside].abs().mean()
        before = (sample.moving - sample.fixed)[:, channel].abs().mean()
        assert error < 0.3 * before


def test_errors_of_perfect_and_of_no_answers(tiny: Tiny) -> None:
    stage = build(tiny("registration-affine"))
    affine = torch.tensor([[[1.0, 0.02, 6], [-0.01, 1.1, -4], [0, 0, 1]]])
    image = torch.rand(1, 1, 240, 320)
    sample = Windows(image, image, image.expand(-1, 3, -1, -1), image, torch.linalg.inv(affine))

    class Answer(torch.nn.Module):
        theta = torch.eye(2, 3)[None]

        def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
            return self.theta

    network = Answer()
    _, error, _ = stage.answer(network, sample)
    assert error.item() == pytest.approx(stage._error_before(sample).item(), rel=5e-3) and error > 4
    unit = torch.tensor([[2 / 319, 0, -1], [0, 2 / 239, -1], [0, 0, 1]])
    network.theta = (unit @ torch.linalg.inv(affine[0]) @ torch.linalg.inv(unit))[None, :2]
    assert stage.answer(network, sample)[1].item() == pytest.approx(0.5, abs=0.01)  # the softening alone


@pytest.mark.parametrize("recipe", ["registration-affine", "registration-voxelmorph"])
def test_a_step_has_a_gradient_everywhere_and_depends_on_the_seeds(tiny: Tiny, recipe: str) -> None:
    experiment = tiny(recipe, "loss.supervised=1", "loss.unsupervised=0.5")
    stage = build(experiment)
    batch = batch_of(experiment, stage, 2)
    for parameter in stage.network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    losses = stage.training_step(stage.network, batch, 0)
    losses["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in stage.network.parameters())
    again = stage.training_step(stage.network, batch, 1)
    assert again["loss"].item() == pytest.approx(losses["loss"].item(), rel=1e-5)
    batch["seed"] = batch["seed"] + 1
    assert abs(stage.training_step(stage.network, batch, 0)["error_px"] - losses["error_px"]) > 0.1


def test_the_loss_is_the_papers(tiny: Tiny) -> None:
    """MSE of the warped and the fixed input plus lambda times the mean squared difference of the flow."""
    experiment = tiny("registration-voxelmorph", "model.steps=0", "loss.smooth=2.0")
    stage = build(experiment)
    torch.nn.init.normal_(stage.network.flow.weight, std=0.5)
    batch = batch_of(experiment, stage)
    losses = stage.training_step(stage.network, batch, 0)
    sample = stage.sample(batch, batch["seed"])
    assert sample.fixed.shape[1] == 1 and set(sample.fixed.unique().tolist()) == {0.0, 1.0}  # human masks
    flow = stage.network(sample.moving, sample.fixed).flow
    rough = (flow.diff(dim=-1).square().mean() + flow.diff(dim=-2).square().mean()) / 2
    mse = (stage.network.warp(sample.moving, flow) - sample.fixed).square().mean()
    assert losses["roughness"].item() == pytest.approx(rough.item(), rel=1e-4) and rough > 1e-4
    assert losses["loss"].item() == pytest.approx((mse + 2 * rough).item(), rel=1e-4)


def test_training_lowers_the_error_and_the_export_loads(tiny: Tiny, tmp_path: Path) -> None:
    experiment = tiny(
        "registration-voxelmorph",
        "loss.supervised=1",
        "loss.unsupervised=0",
        "model.inputs=[grey]",
        "model.layout=compact",
        "model.steps=0",
    )
    stage = build(experiment)
    batch = batch_of(experiment, stage, 6)
    batch["infrared"] = batch["visible"].mean(1, keepdim=True)
    batch["visible"] = batch["infrared"].expand(-1, 3, -1, -1)
    optimizer = torch.optim.Adam(stage.network.parameters(), lr=3e-3)
    errors = []
    for step in range(90):
        losses = stage.training_step(stage.network, batch, step)
        optimizer.zero_grad()
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(stage.network.parameters(), 1.0)
        optimizer.step()
        errors.append(losses["error_px"].item())
    assert sum(errors[-10:]) < 0.8 * sum(errors[:10])  # measured 0.67
    loader = validation_loader(build_dataset(experiment.data, 0, False, **stage.dataset_options))
    with torch.no_grad():
        figures = stage.validate(stage.network.eval(), loader, tmp_path)
    assert figures["before_px"] > 1 and 0 <= figures["under_5px"] <= figures["under_10px"] <= 1
    picture, _ = read_visible(tmp_path / "registration.png")
    assert picture.shape == (3, 48, 5 * 64)
    stage.export(stage.network, tmp_path / "weights")
    again = load_network(VoxelMorph, "voxelmorph", tmp_path / "weights", {})
    sample = stage.sample(batch, batch["seed"])
    with torch.no_grad():
        assert torch.allclose(again(*sample[1::-1]).flow, stage.network(*sample[1::-1]).flow, atol=1e-5)


def test_the_published_network_is_the_affine_default() -> None:
    stage = RegistrationStage(Experiment(data=DataConfig(crop=[240, 320])))
    assert isinstance(stage.network, AffineNetwork) and stage.kinds == ("grey",)
    assert stage.weights == RegistrationLoss("mse", 1.0, 0.0, 0.6) and stage.settings.strength == [1.0, 1.0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model.network=afine"], "did you mean 'affine'"),
        (["model.input=[grey]"], "did you mean 'inputs'"),
        (["model.inputs=[gray]"], "did you mean 'grey'"),
        (["loss.similarity=mes"], "did you mean 'mse'"),
        (["loss.smoth=1"], "did you mean 'smooth'"),
        (["sample.misalignment={rotate: 3}"], "did you mean 'rotation'"),
        (["data.crop=[200,400]"], "must hold the network's window"),
    ],
)
def test_mistakes(tiny: Tiny, words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        build(tiny("registration-affine", *words))

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ldfusion.config import Experiment
from ldfusion.errors import InputError, WorkError
from ldfusion.training.loop import Trainer, WarmedAverage, train
from ldfusion.training.stages import STAGES, check_crop

Tiny = Callable[..., Experiment]


def weights(experiment: Experiment) -> dict[str, Tensor]:
    return load_file(Path(experiment.output) / "weights" / "diffusion_pytorch_model.safetensors")


def metrics(experiment: Experiment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(experiment.output) / "metrics.jsonl").read_text().splitlines()]


def largest_difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    assert first.keys() == second.keys()
    return max((value - second[name]).abs().max().item() for name, value in first.items())


def test_what_a_run_leaves_behind(tiny: Tiny) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    experiment = tiny("denoiser", "train.tracker=tensorboard", "train.validate_every=4", "train.keep=1")
    figures = train(experiment)
    output = Path(experiment.output)
    assert {p.name for p in output.iterdir()} == {
        "config.yaml", "checkpoints", "log", "metrics.jsonl", "pictures", "weights",
    }  # fmt: skip
    assert [p.name for p in (output / "checkpoints").iterdir()] == ["step-00000006"]
    assert sorted(str(p.relative_to(output / "pictures")) for p in (output / "pictures").glob("*/*")) == [
        "step-00000004/denoised.png", "step-00000006/denoised.png",
    ]  # fmt: skip
    assert {p.name for p in (output / "weights").iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    lines = metrics(experiment)
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("train", 2), ("train", 4), ("val", 4), ("train", 6), ("val", 6),
    ]  # fmt: skip
    assert figures.keys() == {f"mse_t{t}" for t in (5, 50, 100, 500, 1000)}
    assert figures["mse_t50"] == pytest.approx(lines[-1]["mse_t50"], abs=1e-6)
    events = EventAccumulator(str(output / "log"))
    events.Reload()
    assert {"train/loss", "train/lr", "val/mse_t50"} <= set(events.Tags()["scalars"])
    logged = events.Scalars("train/loss")
    assert [e.step for e in logged] == [2, 4, 6]
    assert [e.value for e in logged] == pytest.approx([line["train/loss"] for line in lines if "train/loss" in line])


def test_a_run_goes_on_from_its_newest_checkpoint_exactly(tiny: Tiny) -> None:
    """With dropout, which draws from the global generator, and a line of the log that spans the interruption."""
    words = ("model.dropout=0.2", "train.log_every=3")
    whole, broken = tiny("denoiser", *words, output="whole"), tiny("denoiser", *words, output="broken")
    train(whole)
    shutil.copytree(whole.output, broken.output)
    for lost in ("weights", "checkpoints/step-00000006"):
        shutil.rmtree(Path(broken.output) / lost)
    train(broken)
    assert largest_difference(weights(whole), weights(broken)) == 0
    expected, resumed = metrics(whole), metrics(broken)
    assert resumed[0] == expected[0] and resumed[2] == expected[2]
    # the second line holds the mean of the two steps after the checkpoint instead of three
    assert resumed[1]["train/loss"] == pytest.approx(expected[1]["train/loss"], rel=0.2)


def test_a_finished_run_only_validates_again(tiny: Tiny) -> None:
    experiment = tiny()
    first = train(experiment)
    before = weights(experiment)
    assert train(experiment) == first
    assert largest_difference(before, weights(experiment)) == 0


def test_a_run_stopped_early_goes_on_to_the_same_end(tiny: Tiny) -> None:
    """The schedule spans all steps, so that stopping changes nothing of what comes before or after."""
    whole, parts = tiny(output="whole"), tiny("denoiser", "train.stop=3", output="parts")
    train(whole)
    train(parts)
    assert [p.name for p in sorted((Path(parts.output) / "checkpoints").iterdir())] == [
        "step-00000002",
        "step-00000003",
    ]
    assert metrics(parts)[-1]["step"] == 3
    train(tiny(output="parts"))
    assert largest_difference(weights(whole), weights(parts)) == 0


def test_fine_tuning_starts_from_exported_weights(tiny: Tiny) -> None:
    first = tiny("denoiser", "train.steps=4", output="first")
    train(first)
    folder = Path(first.output) / "weights"
    # the first step of the warm-up has a rate of 0
    second = tiny("denoiser", f"train.init={folder}", "train.steps=1", "seed=5", output="second")
    train(second)
    assert largest_difference(weights(first), weights(second)) == 0


def test_fine_tuning_starts_from_the_mean_of_several_runs(tiny: Tiny) -> None:
    runs = [tiny("denoiser", "train.steps=3", f"seed={k}", output=f"run{k}") for k in range(3)]
    for run in runs:
        train(run)
    first, *others = (str(Path(run.output) / "weights") for run in runs)
    words = (f"train.init={first}", f"train.init_mean={json.dumps(others)}", "train.steps=1", "optim.ema=0")
    mean = tiny("denoiser", *words, output="mean")
    train(mean)  # the first step of the warm-up has a rate of 0
    states = [weights(run) for run in runs]
    for name, value in weights(mean).items():
        assert torch.allclose(value, torch.stack([state[name] for state in states]).mean(0), atol=1e-6), name


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("nowhere", "holds 0 safetensors files"), ("first/weights", "the weights of another network")],
)
def test_weights_that_cannot_be_started_from(tiny: Tiny, tmp_path: Path, folder: str, expected: str) -> None:
    train(tiny("denoiser", "model.channels=[8,8,8]", "train.steps=1", output="first"))
    with pytest.raises(InputError, match=f"train.init: .*{expected}") as caught:
        train(tiny("denoiser", f"train.init={tmp_path / folder}", output="second"))
    assert "\n" not in str(caught.value)


def test_without_resuming_it_starts_anew(tiny: Tiny) -> None:
    train(tiny("denoiser", "train.steps=4"))
    before = weights(tiny())
    train(tiny("denoiser", "train.steps=2", "train.resume=false"))
    folder = Path(tiny().output)
    assert [p.name for p in (folder / "checkpoints").iterdir()] == ["step-00000002"]
    assert {line["step"] for line in metrics(tiny())} == {2}
    assert largest_difference(before, weights(tiny())) > 0


def test_two_accumulated_halves_equal_one_batch(tiny: Tiny) -> None:
    one, two = tiny(output="one"), tiny("denoiser", "train.accumulate=2", output="two")
    for experiment in (one, two):
        train(experiment)
    assert 0 < largest_difference(weights(one), weights(two)) < 1e-5
    assert metrics(two)[0]["train/loss"] == pytest.approx(metrics(one)[0]["train/loss"], abs=1e-5)


def test_loader_processes_change_nothing(tiny: Tiny) -> None:
    words = ("train.steps=2",)
    inside, outside = tiny("denoiser", *words, output="a"), tiny("denoiser", *words, "data.workers=1", output="b")
    for experiment in (inside, outside):
        train(experiment)
    assert largest_difference(weights(inside), weights(outside)) == 0


def test_the_average_warms_up_by_hand() -> None:
    average = WarmedAverage(0.5)
    old, new = torch.tensor(1.0), torch.tensor(0.0)
    assert [average(old, new, n).item() for n in (1, 4, 8, 100)] == pytest.approx([2 / 11, 5 / 14, 0.5, 0.5])
    assert average(torch.zeros(2, dtype=torch.float32), torch.ones(2, dtype=torch.bfloat16), 1).dtype == torch.float32


def test_the_average_is_what_is_exported(tiny: Tiny) -> None:
    experiment = tiny("denoiser", "optim.ema=0.99")
    trainer = Trainer(experiment)
    seen: list[Tensor] = []
    name, parameter = next(iter(trainer.stage.network.named_parameters()))
    trainer.optimizers["main"].optimizer.register_step_post_hook(lambda *_: seen.append(parameter.detach().clone()))
    trainer.run()
    expected = seen[0]
    for n, value in enumerate(seen[1:], 1):
        decay = (1 + n) / (10 + n)
        expected = decay * expected + (1 - decay) * value
    assert len(seen) == 6
    assert torch.allclose(weights(experiment)[name], expected, atol=1e-7)
    assert not torch.equal(expected, seen[-1])


def test_without_an_average_the_last_weights_are_exported(tiny: Tiny) -> None:
    experiment = tiny("denoiser", "optim.ema=0", "train.steps=2")
    trainer = Trainer(experiment)
    trainer.run()
    assert trainer.ema is None
    state = {name: value.contiguous() for name, value in trainer.stage.network.state_dict().items()}
    assert largest_difference(weights(experiment), state) == 0


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [0.5, 1, 1, 1, 1]), ("cosine", [0.5, 1, 0.853553, 0.5, 0.146447])],
)
def test_learning_rates(tiny: Tiny, schedule: str, expected: list[float]) -> None:
    trainer = Trainer(tiny("denoiser", f"optim.schedule={schedule}", "optim.lr=1"))
    rates = []
    for _ in range(5):
        trainer.optimizers["main"].step()
        trainer.schedules["main"].step()
        rates.append(trainer.schedules["main"].get_last_lr()[0])
    assert rates == pytest.approx(expected, abs=1e-5)


def test_gradients_are_clipped(tiny: Tiny) -> None:
    norms: list[float] = []
    for clip in (0, 1e-3):
        trainer = Trainer(tiny("denoiser", f"optim.clip={clip}", "train.steps=1", output=str(clip)))
        parameters = list(trainer.stage.network.parameters())
        trainer.optimizers["main"].optimizer.register_step_pre_hook(
            lambda *_, p=parameters: norms.append(torch.stack([x.grad.norm() for x in p]).norm().item())
        )
        trainer.run()
    assert norms[0] > 0.1 and norms[1] == pytest.approx(1e-3, rel=1e-3)


def test_half_precision_trains_and_exports_single_precision(tiny: Tiny) -> None:
    full, half = (
        tiny("denoiser", f"optim.precision={p}", "train.steps=2", "optim.warmup=0", "optim.ema=0", output=p)
        for p in ("fp32", "bf16")
    )
    train(full)
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    train(half)
    assert all(value.dtype == torch.float32 for value in weights(half).values())
    assert 0 < largest_difference(weights(full), weights(half)) < 0.01
    assert metrics(half)[0]["train/loss"] == pytest.approx(metrics(full)[0]["train/loss"], rel=0.02)


def test_a_loss_that_is_not_finite_stops_the_run(tiny: Tiny) -> None:
    with pytest.raises(WorkError, match=r"step \d: the loss is not finite; lower optim\.lr") as caught:
        train(tiny("denoiser", "optim.lr=1e30", "optim.clip=0", "optim.warmup=0"))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["stage=denoyser"], "stage: unknown 'denoyser'; did you mean 'denoiser'"),
        (["data.root="], r"data\.root is empty"),
        (["data.root=/nowhere"], r"/nowhere: no such folder \(data\.root\)"),
        (["data.datasets=[roadscenes]"], "did you mean 'roadscene'"),
        (["data.train_split=splits/none.txt"], "no such split file"),
        (["data.crop=[30,48]"], r"data\.crop=\[30, 48\]: both sides must be multiples of 4"),
        (["model.chanels=[8,8]"], "model: unknown key 'chanels'; did you mean 'channels'"),
        (["model.groups=3"], "multiple of model.groups=3"),
        (["model.schedul=linear"], "model: unknown key 'schedul'; did you mean 'schedule'"),
        (["model.schedule=linaer"], "unknown noise schedule 'linaer'; did you mean 'linear'"),
        (["output="], "output is empty"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    tiny: Tiny, tmp_path: Path, words: list[str], expected: str
) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        train(tiny("denoiser", *words))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 can be trained on this machine")
def test_fp16_needs_a_gpu(tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"optim\.precision=fp16 needs a GPU"):
        train(tiny("denoiser", "optim.precision=fp16"))


def test_another_model_in_the_same_folder_is_refused(tiny: Tiny) -> None:
    train(tiny("denoiser", "train.steps=2"))
    before = weights(tiny())
    with pytest.raises(InputError, match="holds a run with another 'model'; choose another output folder"):
        train(tiny("denoiser", "model.channels=[8,8,8]"))
    assert largest_difference(before, weights(tiny())) == 0


def test_every_stage_can_be_imported() -> None:
    from importlib import import_module

    for entry in STAGES.values():
        module, _, name = entry.where.partition(":")
        stage = getattr(import_module(module), name)
        options = getattr(stage, "dataset_options", None)  # none where the arguments decide; it is declared then
        assert isinstance(options, dict) or stage.__annotations__["dataset_options"] == "dict[str, bool]"
        assert all(callable(getattr(stage, method)) for method in ("training_step", "validate", "export"))


def test_crops_are_checked_against_the_networks(tiny: Tiny) -> None:
    check_crop(tiny().data, 16)
    with pytest.raises(InputError, match="multiples of 32"):
        check_crop(tiny().data, 32)

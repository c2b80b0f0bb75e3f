from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.errors import InputError
from ldfusion.fusion.losses import content_losses
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.io.color import luma
from ldfusion.segmentation import SegmentationNetwork
from ldfusion.training.loop import Trainer, train
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.seafusion import SeAFusionStage, Turn

Tiny = Callable[..., Experiment]


def build(experiment: Experiment) -> SeAFusionStage:
    torch.manual_seed(0)
    stage = build_stage(experiment)
    assert isinstance(stage, SeAFusionStage)
    return stage


def a_batch(experiment: Experiment) -> dict[str, Tensor]:
    dataset = build_dataset(experiment.data, 0, True, masks=True)
    return collate([dataset[0, k] for k in range(4)])


def gradients(module: torch.nn.Module) -> list[str]:
    return [name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]


def test_the_plan_of_algorithm_1(tiny: Tiny) -> None:
    """M rounds of p fusion steps under weights gamma (m - 1) = 0, 1, 2, 3 and q steps of the segmentation network."""
    stage = build(tiny("seafusion", "loss.rounds=4", "loss.fusion_steps=3", "loss.task_steps=2", "loss.gamma=0.5"))
    assert stage.steps == 20
    plan = [stage.plan(k) for k in range(stage.steps)]
    assert [t.m for t in plan] == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    assert [t.fuses for t in plan] == [True, True, True, False, False] * 4
    assert all(t.segments != t.fuses for t in plan)
    assert [t.beta for t in plan if t.fuses] == [0.0] * 3 + [0.5] * 3 + [1.0] * 3 + [1.5] * 3
    assert [stage.turn(k) for k in (2, 3)] == [("main",), ("task",)]


def test_the_plans_of_the_other_strategies(tiny: Tiny, tmp_path: Path) -> None:
    words = ("loss.rounds=2", "loss.fusion_steps=3")
    content = build(tiny("seafusion", *words, "loss.strategy=content"))
    assert content.steps == 6 and content.network.segmentation is None
    assert {content.plan(k).beta for k in range(6)} == {0.0} and content.turn(5) == ("main",)
    joint = build(tiny("seafusion", *words, "loss.strategy=joint", "loss.gamma=0.7"))
    assert joint.steps == 6 and {joint.plan(k) for k in range(6)} == {Turn(1, True, True, 0.7)}
    assert joint.turn(0) == ("main", "task")
    build(tiny("seafusion")).network.segmentation.save_pretrained(tmp_path / "guide")
    guided = build(tiny("seafusion", *words, "loss.strategy=pretrained", f"model.guide={tmp_path / 'guide'}"))
    assert guided.steps == 6 and [guided.plan(k).beta for k in range(6)] == [0.0] * 3 + [1.0] * 3
    assert all(guided.turn(k) == ("main",) for k in range(6)) and set(guided.groups()) == {"main"}
    assert not any(p.requires_grad for p in guided.network.segmentation.parameters())


def test_a_fusion_turn_is_guided_through_frozen_weights(tiny: Tiny) -> None:
    experiment = tiny("seafusion")
    stage, batch = build(experiment), a_batch(experiment)
    stage.network.train()
    before = {name: value.clone() for name, value in stage.network.segmentation.named_buffers()}
    losses = stage.training_step(stage.network, batch, 3)  # the first fusion step of round 2
    w = stage.weights
    assert losses["loss"].item() == pytest.approx(
        (losses["intensity"] + w.alpha * losses["gradient"] + losses["semantic"]).item(), rel=1e-6
    )
    losses["loss"].backward()
    assert gradients(stage.network.segmentation) == []
    assert all(torch.equal(value, before[name]) for name, value in stage.network.segmentation.named_buffers())
    both = {name: p.grad.clone() for name, p in stage.network.fusion.named_parameters()}
    stage.network.zero_grad()
    (losses := stage.training_step(stage.network, batch, 0))["loss"].backward()  # round 1: content alone
    assert "semantic" not in losses
    assert any((both[name] - p.grad).abs().max() > 1e-8 for name, p in stage.network.fusion.named_parameters())


def test_a_task_turn_trains_the_segmentation_network_alone(tiny: Tiny) -> None:
    experiment = tiny("seafusion")
    stage, batch = build(experiment), a_batch(experiment)
    stage.network.train()
    losses = stage.training_step(stage.network, batch, 2)
    assert losses.keys() == {"loss", "segmentation"}
    losses["loss"].backward()
    assert gradients(stage.network.fusion) == [] and "head.1.weight" in gradients(stage.network.segmentation)


def test_pseudo_masks_do_not_deny_the_classes_they_do_not_know(tiny: Tiny) -> None:
    experiment = tiny("seafusion", "model.segmentation.labels=msrs")
    stage, batch = build(experiment), a_batch(experiment)
    stage.network.eval()
    pseudo = stage.training_step(stage.network, batch, 2)["segmentation"]
    strict = stage.training_step(stage.network, batch | {"mask_classes": torch.full((4,), 9)}, 2)["segmentation"]
    assert pseudo < strict


def test_one_stage_joint_training_moves_both(tiny: Tiny) -> None:
    experiment = tiny("seafusion", "loss.strategy=joint")
    stage, batch = build(experiment), a_batch(experiment)
    stage.training_step(stage.network, batch, 0)["loss"].backward()
    assert gradients(stage.network.fusion) and gradients(stage.network.segmentation)


def test_the_content_loss_by_hand() -> None:
    """A ramp of 0.1 a pixel against a flat image: |Sobel| is 0.8 inside; at the borders, repeated, half."""
    ramp = (0.1 * torch.arange(6.0)).expand(1, 1, 5, 6)
    flat = torch.zeros(1, 1, 5, 6)
    out = content_losses(flat, ramp, flat)
    assert out["intensity"].item() == pytest.approx(0.25)
    assert out["gradient"].item() == pytest.approx((4 * 0.8 + 2 * 0.4) / 6)
    perfect = content_losses(ramp, ramp, flat)
    assert perfect["intensity"].item() == 0 and perfect["gradient"].item() == pytest.approx(0, abs=1e-7)
    # magnitudes are content with a negative, signed gradients are not
    negative = 0.5 - ramp
    assert content_losses(negative, ramp, flat)["gradient"].item() == pytest.approx(0, abs=1e-6)
    assert content_losses(negative, ramp, flat, signed=True)["gradient"].item() == pytest.approx(
        2 * (4 * 0.8 + 2 * 0.4) / 6
    )
    assert content_losses(ramp, ramp, flat, sharpen=1.5)["gradient"].item() == pytest.approx(
        0.5 * (4 * 0.8 + 2 * 0.4) / 6
    )


def test_the_tone_of_the_target_is_fixed_and_clamped() -> None:
    """pivot 0.3, gain 2: 0.1 -> 0 (clamped), 0.4 -> 0.5, 0.9 -> 1 (clamped), whatever else the batch holds."""
    source = torch.tensor([0.1, 0.4, 0.9]).view(1, 1, 1, 3).expand(1, 1, 4, 3)
    toned = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3).expand(1, 1, 4, 3)
    dark = torch.zeros_like(source)
    assert content_losses(toned, source, dark, gain=2.0, pivot=0.3)["intensity"].item() == pytest.approx(0, abs=1e-6)
    assert content_losses(source, source, dark, gain=2.0, pivot=0.3)["intensity"].item() == pytest.approx(0.1)


def figures_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_resumes_at_any_point_of_the_alternation(tiny: Tiny, tmp_path: Path) -> None:
    """With optimisers and schedules of their own: what is lost after a step is computed again, bit for bit.

    After steps 1 and 4 within a fusion turn, after 2 before a task turn, after 3 between two rounds.
    """
    words = ("train.checkpoint_every=1", "train.keep=9", "train.log_every=1", "train.validate_every=0")
    whole = tiny("seafusion", *words, output="whole")
    train(whole)
    for kept in (1, 2, 3, 4):
        broken = tiny("seafusion", *words, output=f"broken-{kept}")
        folder = shutil.copytree(whole.output, Path(broken.output))
        shutil.rmtree(folder / "weights")
        for step in range(kept + 1, 7):
            shutil.rmtree(folder / "checkpoints" / f"step-{step:08d}")
        train(broken)
        for part in ("fusion", "segmentation"):
            first, second = (
                load_file(run / "weights" / part / "diffusion_pytorch_model.safetensors")
                for run in (tmp_path / "whole", folder)
            )
            assert first.keys() == second.keys()
            assert all(torch.equal(value, second[name]) for name, value in first.items()), (kept, part)
        assert figures_of(tmp_path / "whole") == figures_of(folder)


@pytest.mark.slow
def test_killed_within_a_turn_it_ends_with_the_very_same_weights(
    data_root: Path, repository: Path, tmp_path: Path
) -> None:
    def command(name: str) -> list[str]:
        config = repository / "configs" / "tiny" / "seafusion.yaml"
        plan = [
            "loss.rounds=3",
            "loss.fusion_steps=5",
            "loss.task_steps=5",
            "train.steps=30",
            "train.checkpoint_every=1",
        ]
        places = [f"data.root={data_root}", f"output={tmp_path / name}", "train.tracker=none"]
        return [sys.executable, str(repository / "scripts" / "train.py"), "--config", str(config), *places, *plan]

    with subprocess.Popen(command("killed"), stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 600
        while not (tmp_path / "killed" / "checkpoints" / "step-00000012").exists() and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL and not (tmp_path / "killed" / "weights").exists()
    again = subprocess.run(command("killed"), capture_output=True, text=True, check=True)
    assert again.stderr.startswith("resumed from ")
    subprocess.run(command("whole"), capture_output=True, check=True)
    for part in ("fusion", "segmentation"):
        first, second = (
            load_file(tmp_path / name / "weights" / part / "diffusion_pytorch_model.safetensors")
            for name in ("whole", "killed")
        )
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert figures_of(tmp_path / "whole") == figures_of(tmp_path / "killed")


def test_each_turn_moves_its_own_network_and_schedule(tiny: Tiny) -> None:
    trainer = Trainer(tiny("seafusion", "optim.ema=0"))
    seen = []
    for name in ("main", "task"):
        trainer.optimizers[name].optimizer.register_step_post_hook(lambda *_, n=name: seen.append(n))
    trainer.run()
    assert seen == ["main", "main", "task"] * 2
    assert trainer.schedules["main"].last_epoch == 4 and trainer.schedules["task"].last_epoch == 2
    lines = [line for line in figures_of(Path(trainer.experiment.output)) if line["kind"] == "train"]
    assert "train/segmentation" not in lines[0] and "train/segmentation" in lines[1] and "train/intensity" in lines[1]


def test_the_exported_networks_load_and_continue(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny("seafusion", output="first"))
    folder = tmp_path / "first" / "weights"
    grdb = GRDBFusionNetwork.from_pretrained(folder / "fusion", use_safetensors=True)
    assert SegmentationNetwork.from_pretrained(folder / "segmentation", use_safetensors=True).classes.names[1] == "car"
    again = build(tiny("seafusion", f"model.fusion={folder / 'fusion'}", f"model.guide={folder / 'segmentation'}"))
    x, y = torch.rand(2, 1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(
            again.network.fusion(luma(x.expand(-1, 3, -1, -1)), y), grdb(luma(x.expand(-1, 3, -1, -1)), y)
        )
    with pytest.raises(InputError, match="is of the variant 'code', not 'paper'"):
        build(tiny("seafusion", f"model.fusion={folder / 'fusion'}", "model.variant=paper"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["loss.strategy=adaptiv"], "unknown 'adaptiv'; did you mean 'adaptive'"),
        (["loss.strategy=pretrained"], r"model\.guide is empty"),
        (["loss.rounds=0"], r"loss\.rounds=0: must be 1 or more"),
        (["loss.task_steps=-1"], r"loss\.task_steps=-1"),
        (["loss.aplha=3"], "loss: unknown key 'aplha'; did you mean 'alpha'"),
        (["train.steps=7"], r"train\.steps=7: the plan of this stage has 6 steps"),
        (["model.segmentation.widht=7"], r"model\.segmentation: unknown key 'widht'"),
        (["optim.task.lr=-1"], r"optim\.task\.lr=-1"),
        (["optim.task.ler=1"], r"section 'optim\.task': unknown key 'ler'; did you mean 'lr'"),
    ],
)
def test_mistakes_are_one_line(tiny: Tiny, words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        Trainer(tiny("seafusion", *words))
    assert "\n" not in str(caught.value)

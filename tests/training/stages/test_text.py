from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ldfusion.config import DataConfig, Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.errors import InputError
from ldfusion.language.contrastive import PairEncoder
from ldfusion.language.labels import LABELS
from ldfusion.language.text import TextEncoder
from ldfusion.training.stages.text import TextStage, contrastive_loss

MODEL: dict[str, Any] = {
    "dim": 8,
    "common_merges": 50,
    "text": {"width": 16, "heads": 2, "layers": 1},
    "pair": {"width": 16, "heads": 2, "layers": 1, "image_size": [32, 32], "patch_size": 16},
}


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    """Four pairs of noise with captions and depth labels; two say person, two say car."""
    rng = np.random.default_rng(0)
    records = []
    for k in range(4):
        for folder, shape in (("visible", (36, 48, 3)), ("infrared", (36, 48))):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(tmp_path / folder / f"{k}.png")
        for modality in ("depth_visible", "depth_infrared"):
            (tmp_path / "labels" / "folder" / modality).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / "labels" / "folder" / modality / f"{k}.npy", rng.random((18, 24), np.float32))
        name, light = ("person", "night") if k % 2 else ("car", "day")
        thing = {"name": name, "position": "left", "distance": "near", "visible_in": "both", "thermal": "warm"}
        captions = [f"Scene {k}: a {name}.", f"The {name} is near on the left.", f"Both sensors show the {name}."]
        records.append({"dataset": "folder", "stem": str(k), "light": light, "objects": [thing], "captions": captions})
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, records)))
    return DataConfig(
        root=str(tmp_path), datasets=["folder"], val_datasets=["folder"], train_split="", val_split="",
        labels=str(tmp_path / "labels"), crop=[32, 32], full_frame=True, scale=[1.0, 1.1],
    )  # fmt: skip


def build(data: DataConfig, **loss: float) -> TextStage:
    torch.manual_seed(0)
    sample = {name: loss.pop(name) for name in ("prompts",) if name in loss}
    return TextStage(Experiment(model=MODEL, loss=loss, sample=sample, data=data))


def a_batch(stage: TextStage, data: DataConfig, epoch: int = 0) -> dict[str, Any]:
    dataset = build_dataset(data, seed=0, train=True, **stage.dataset_options)
    return collate([dataset[(epoch, k)] for k in range(len(dataset))])


def test_a_step_gives_the_weighted_sum_and_a_gradient_for_every_parameter(data: DataConfig) -> None:
    stage = build(data, contrastive=1.0, named=2.0, present=3.0, prompts=1.5)
    losses = stage.training_step(stage.network, a_batch(stage, data), 0)
    expected = losses["contrastive"] + 2 * losses["named"] + 3 * losses["present"]
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    losses["loss"].backward()
    for name, parameter in stage.network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_step_is_a_function_of_the_seeds(data: DataConfig) -> None:
    stage = build(data)
    batch = a_batch(stage, data)
    first, again = (stage.training_step(stage.network, batch, step)["loss"] for step in (0, 5))
    assert first.item() == again.item()
    batch["seed"] = batch["seed"] + 1
    assert stage.training_step(stage.network, batch, 0)["loss"].item() != first.item()


def test_training_learns_which_classes_are_named_and_present(data: DataConfig, tmp_path: Path) -> None:
    stage = build(data, contrastive=0.1, prompts=0.0)
    optimizer = torch.optim.AdamW(stage.network.parameters(), lr=5e-3)
    losses = []
    for step in range(60):
        loss = stage.training_step(stage.network, a_batch(stage, data, step), step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
    dataset = build_dataset(data, seed=0, train=False, **stage.dataset_options)
    with torch.no_grad():
        figures = stage.validate(stage.network.eval(), validation_loader(dataset), tmp_path)
    assert figures["named/person"] > 0.9 and figures["named/all"] > 0.9
    assert figures["pair_to_text/all/R@5"] == 1.0 and 0 <= figures["named/prompts"] <= 1
    assert Image.open(tmp_path / "similarity.png").size == (4, 4)


def test_export_writes_both_towers(data: DataConfig, tmp_path: Path) -> None:
    stage = build(data)
    stage.export(stage.network, tmp_path / "out")
    text = TextEncoder.from_pretrained(tmp_path / "out")
    pair = PairEncoder.from_pretrained(tmp_path / "out" / "pair_encoder")
    assert text.labels == pair.labels == LABELS
    assert torch.equal(text.encode(["a person"]), stage.network.text.encode(["a person"]))
    assert text.tokenizer.context_length == 77


def test_the_vocabulary_holds_the_words_of_the_captions_and_of_the_prompts(data: DataConfig) -> None:
    tokenizer = build(data).tokenizer
    assert [tokenizer.decoder[i] for i in tokenizer.encode("sensors right pedestrian")] == [
        "sensors</w>", "right</w>", "pedestrian</w>",
    ]  # fmt: skip


def test_unknown_settings_stop_with_the_nearest_name(data: DataConfig) -> None:
    with pytest.raises(InputError, match=r"model\.text: unknown key 'layer'; did you mean 'layers'\?"):
        TextStage(Experiment(model={**MODEL, "text": {"layer": 2}}, data=data))
    with pytest.raises(InputError, match=r"loss: unknown key 'name'; did you mean 'named'\?"):
        TextStage(Experiment(model=MODEL, loss={"name": 1.0}, data=data))


def test_a_pair_without_captions_is_named(data: DataConfig) -> None:
    file = Path(data.root) / "captions.jsonl"
    file.write_text("\n".join(file.read_text().splitlines()[:3]))
    with pytest.raises(InputError, match="no captions for the pair 'folder/3'"):
        build(data)


TWO_PROCESSES = """
import os, sys, torch
from torch import distributed
from ldfusion.training.stages.text import contrastive_loss
rank, file = int(os.environ["RANK"]), sys.argv[1]
distributed.init_process_group("gloo")
pair, text, scale = torch.load(file + ".pt", weights_only=True)
mine = slice(3 * rank, 3 * rank + 3)
a, b = pair[mine].clone().requires_grad_(), text[mine].clone().requires_grad_()
loss = contrastive_loss(a, b, scale)
loss.backward()
torch.save((loss.detach(), a.grad, b.grad), f"{file}.{rank}")
distributed.destroy_process_group()
"""


# both wait for each other in compiled code, which no signal interrupts
@pytest.mark.timeout(900, method="thread")
def test_two_processes_with_half_the_batch_each_match_one(
    tmp_path: Path,
    second_process: Callable[..., AbstractContextManager[subprocess.Popen[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    pair, text = (torch.randn(6, 5, generator=generator) for _ in range(2))
    scale, file = torch.tensor(9.0), tmp_path / "meeting"
    torch.save((pair, text, scale), f"{file}.pt")
    with second_process("-c", TWO_PROCESSES, str(file)) as other:
        monkeypatch.setattr(sys, "argv", ["-c", str(file)])
        exec(TWO_PROCESSES, {})
        _, errors = other.communicate(timeout=600)
    assert other.returncode == 0, errors
    halves = [torch.load(f"{file}.{rank}", weights_only=True) for rank in range(2)]

    a, b = pair.requires_grad_(), text.requires_grad_()
    loss = contrastive_loss(a, b, scale)
    loss.backward()
    assert (halves[0][0] + halves[1][0]).item() / 2 == pytest.approx(loss.item(), abs=1e-6)
    # accelerate averages the gradients of the weights over the processes
    for whole, index in ((a.grad, 1), (b.grad, 2)):
        assert whole is not None
        assert torch.allclose(torch.cat([half[index] for half in halves]) / 2, whole, atol=1e-6)

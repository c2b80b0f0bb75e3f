"""The captioner's stage on a few generated pairs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from captioning.network import DepthCaptioner
from ldfusion.config import DataConfig, Experiment
from ldfusion.data.pairs import build_dataset, collate, validation_loader
from ldfusion.errors import InputError
from ldfusion.training.stages.captioner import CaptionerStage, mask_loss, perturbed

TINY = {
    "size": [32, 48],
    "widths": [4, 6, 8, 12],
    "blocks": [1, 1, 1],
    "width": 16,
    "layers": 1,
    "heads": 2,
    "min_count": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    root = tmp_path_factory.mktemp("data")
    draws = np.random.default_rng(0)
    lines = []
    for number, (light, place) in enumerate(
        [("day", "left"), ("night", "right"), ("night", "left"), ("day", "center")]
    ):
        stem = f"{number:03d}"
        for folder, shape in {"visible": (48, 64, 3), "infrared": (48, 64), "object_mask": (48, 64)}.items():
            (root / "msrs" / folder).mkdir(parents=True, exist_ok=True)
            top = 4 if folder == "object_mask" else 256
            image = draws.integers(0, top, shape, dtype=np.uint8)
            cv2.imwrite(str(root / "msrs" / folder / f"{stem}.png"), image)
        for kind in ("depth_visible", "depth_infrared"):
            (root / "labels" / "msrs" / kind).mkdir(parents=True, exist_ok=True)
            np.save(root / "labels" / "msrs" / kind / f"{stem}.npy", draws.random((24, 32), dtype=np.float32))
        person = {"name": "person", "position": place, "distance": "near", "visible_in": "both", "thermal": "warm"}
        texts = [f"A person at the {place} by {light}.", f"The person is {place}.", "The infrared shows a person."]
        lines.append({"dataset": "msrs", "stem": stem, "light": light, "objects": [person], "captions": texts})
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (root / "train.txt").write_text("msrs/000\nmsrs/001\n")
    (root / "val.txt").write_text("msrs/002\nmsrs/003\n")
    return DataConfig(
        root=str(root), datasets=["msrs"], val_datasets=["msrs"], train_split="train.txt", val_split="val.txt",
        labels=str(root / "labels"), crop=[32, 48], full_frame=True, scale=[1.0, 1.1],
    )  # fmt: skip


def test_a_step_gives_finite_losses_and_a_gradient_everywhere(data: DataConfig) -> None:
    torch.manual_seed(0)
    stage = CaptionerStage(Experiment(model=TINY, data=data))
    pairs = build_dataset(data, 0, True, **stage.dataset_options)
    batch = collate([pairs[0], pairs[1]])
    losses = stage.training_step(stage.network, batch, 0)
    assert set(losses) == {"loss", "report", "free", "grid", "light", "target", "mask"}
    assert all(torch.isfinite(value) for value in losses.values())
    losses["loss"].backward()
    assert [name for name, p in stage.network.named_parameters() if p.grad is None] == []


def test_a_step_is_a_function_of_the_batch(data: DataConfig) -> None:
    stage = CaptionerStage(Experiment(model={**TINY, "dropout": 0.0}, data=data))
    pairs = build_dataset(data, 0, True, **stage.dataset_options)
    batch = collate([pairs[0], pairs[1]])
    first, second = (stage.training_step(stage.network, batch, 0)["loss"].item() for _ in range(2))
    assert first == second


def test_mirrored_words_are_known(data: DataConfig) -> None:
    stage = CaptionerStage(Experiment(model=TINY, data=data))
    assert {"left", "right", "person", "night", "day"} <= set(stage.vocabulary.words)


def test_validation_and_export(data: DataConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    stage = CaptionerStage(Experiment(model={**TINY, "max_length": 12, "beams": 2}, data=data))
    loader = validation_loader(build_dataset(data, 0, False, **stage.dataset_options))
    figures = stage.validate(stage.network.eval(), loader, tmp_path)
    for style in ("scene", "targets", "sensors", "report"):
        for name in ("token_loss", "bleu4", "cider", "light", "position", "distance", "precision", "recall", "f1"):
            assert np.isfinite(figures[f"{style}/{name}"])
            assert np.isfinite(figures[f"{style}/{name}_baseline"])
    assert figures["report/precision_baseline"] == 1.0
    lines = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["msrs/002", "msrs/003"]
    stage.export(stage.network, tmp_path / "weights")
    assert DepthCaptioner.from_pretrained(tmp_path / "weights").vocabulary.words == stage.vocabulary.words


def test_unknown_keys_and_missing_captions_are_refused(data: DataConfig) -> None:
    with pytest.raises(InputError, match="model: unknown key 'widht'; did you mean"):
        CaptionerStage(Experiment(model={"widht": 3}, data=data))
    with pytest.raises(InputError, match="loss: unknown key 'frees'; did you mean 'free'"):
        CaptionerStage(Experiment(model=TINY, loss={"frees": 1}, data=data))
    (Path(data.root) / "other.jsonl").write_text("")
    with pytest.raises(InputError, match="no captions for 2 pairs, the first is 'msrs/000'"):
        CaptionerStage(Experiment(model=TINY, data=dataclasses.replace(data, captions="other.jsonl")))


def test_perturbed_depth_is_seeded_and_keeps_its_order_roughly() -> None:
    ramp = torch.linspace(0, 1, 40).expand(1, 30, 40).contiguous()
    assert torch.equal(perturbed(ramp, 3, 0.0), ramp)
    changed = [perturbed(ramp, seed, 1.0) for seed in range(40)]
    assert torch.equal(changed[5], perturbed(ramp, 5, 1.0))
    lost = [not depth.any() for depth in changed]
    assert 0 < sum(lost) < 12
    for depth in (d for d, gone in zip(changed, lost, strict=True) if not gone):
        assert depth.shape == ramp.shape
        assert torch.corrcoef(torch.stack([depth.flatten(), ramp.flatten()]))[0, 1] > 0.9


def test_mask_loss_takes_the_rarest_class_of_a_cell_and_skips_the_unknown() -> None:
    mask = torch.zeros(1, 16, 16, dtype=torch.int64)
    mask[0, 0, 0] = 2
    mask[0, 8:, 8:] = 255
    mask[0, :8, 8:] = 7  # a class of the full label set that is none of the four counts as background
    right = torch.zeros(1, 4, 2, 2)
    right[0, 0] = 20.0
    right[0, :, 0, 0] = torch.tensor([0.0, 0.0, 20.0, 0.0])
    assert mask_loss(right, mask).item() == pytest.approx(0.0, abs=1e-5)
    assert mask_loss(right, torch.full_like(mask, 255)).item() == 0.0
    assert mask_loss(right.flip(1), mask).item() > 1.0

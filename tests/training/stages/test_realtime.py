from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ldfusion.config import Experiment
from ldfusion.data.catalog import select_pairs
from ldfusion.data.labels import read_captions
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.errors import InputError
from ldfusion.fusion.grid import apply_grid
from ldfusion.fusion.student import RealtimeFusion
from ldfusion.loading import load_pair
from ldfusion.training.loop import train
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.realtime import RealtimeStage
from ldfusion.training.teacher import make_teacher_grids, read_teacher, teacher_path

Tiny = Callable[..., Experiment]
TEXT = "model.text_dim=16"
"""Width of the untrained pipeline's sentence features."""


@pytest.fixture(scope="module")
def taught(data_root: Path, weights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grids of an untrained pipeline for the training pairs."""
    folder = tmp_path_factory.mktemp("grids")
    pairs = select_pairs(data_root, ["roadscene"], "splits/train.txt")
    records = read_captions(data_root / "captions.jsonl")
    assert make_teacher_grids(pairs, weights, folder, records) == len(pairs)
    assert make_teacher_grids(pairs, weights, folder, records) == 0  # kept
    return folder


def build(experiment: Experiment) -> tuple[RealtimeStage, dict[str, Any]]:
    stage = build_stage(experiment)
    assert isinstance(stage, RealtimeStage)
    dataset = build_dataset(experiment.data, experiment.seed, True, **stage.dataset_options)
    return stage, collate([dataset[(1, k)] for k in range(4)])


def test_a_run_trains_validates_and_exports(tiny: Tiny, taught: Path, tmp_path: Path) -> None:
    figures = train(tiny("realtime", TEXT, f"data.labels={taught}", "train.steps=3"))
    assert {"EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD"} <= set(figures)
    method = RealtimeFusion(str(tmp_path / "run" / "weights"))
    assert method.fuse(torch.rand(1, 3, 70, 50), torch.rand(1, 1, 70, 50)).shape == (1, 3, 70, 50)
    assert len(list((tmp_path / "run" / "pictures").rglob("*.png"))) == 1


def test_every_part_learns_with_a_sentence(tiny: Tiny, taught: Path) -> None:
    stage, batch = build(tiny("realtime", TEXT, f"data.labels={taught}", "sample.said=1"))
    losses = stage.training_step(stage.network, batch, 0)
    losses["loss"].backward()
    for name, parameter in stage.network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    weighed = 20 * losses["image"] + 5 * losses["texture"] + 10 * losses["base"]
    assert losses["loss"] > weighed  # the losses of the stage fusion come on top


def test_without_them_the_pipeline_alone_is_followed(tiny: Tiny, taught: Path) -> None:
    stage, batch = build(tiny("realtime", TEXT, f"data.labels={taught}", "sample.judged=0", "loss.smooth=0"))
    losses = stage.training_step(stage.network, batch, 0)
    assert set(losses) == {"loss", "image", "texture", "base"}
    weighed = 20 * losses["image"] + 5 * losses["texture"] + 10 * losses["base"]
    assert losses["loss"].item() == pytest.approx(weighed.item(), rel=1e-5)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_sample_is_compared_with_its_part_of_the_pipelines_picture(
    tiny: Tiny, taught: Path, data_root: Path, flip: float
) -> None:
    """The whole frame at its own size: what the grid makes of the files, mirrored with the sample."""
    stage, batch = build(
        tiny("realtime", TEXT, f"data.labels={taught}", "data.crop=[80,96]", "data.scale=[1,1]", f"data.flip={flip}")
    )
    for k, name in enumerate(batch["name"]):
        grids = read_teacher(taught, name)
        files = data_root / "roadscene"
        stem = f"{name.split('/')[1]}.png"
        pair = load_pair(files / "visible" / stem, files / "infrared" / stem)
        whole = apply_grid(grids.grids[2:3], pair.visible, pair.infrared).clamp(0, 1)
        picture, base, chroma = stage._answer(batch, k, grids, 2)
        torch.testing.assert_close(picture, whole.flip(3) if flip else whole, atol=1e-4, rtol=0)
        assert base.shape == chroma.shape == (1, 1, 40, 48)


def test_grids_are_of_the_caption_of_two_commands_and_of_another_tone(taught: Path) -> None:
    grids = read_teacher(taught, "roadscene/FLIR_00001")
    assert grids.grids.shape[0] == len(grids.text) == len(grids.sentences) == 4
    assert grids.frame == (80, 96)
    assert grids.sentences[0] == grids.sentences[3] and len(set(grids.sentences)) == 3
    assert "person" in grids.sentences[1] or "people" in grids.sentences[1] or "pedestrian" in grids.sentences[1]
    assert grids.tones[:3].abs().max() == 0 and grids.tones[3].abs().min() > 0


def test_what_does_not_fit_is_refused(tiny: Tiny, taught: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.jitter"):
        build(tiny("realtime", TEXT, f"data.labels={taught}", "data.jitter=0.1"))
    with pytest.raises(InputError, match=r"working=\[40, 48\]"):
        build(tiny("realtime", TEXT, f"data.labels={taught}", "model.working=[40,48]"))
    stage, batch = build(tiny("realtime", f"data.labels={tmp_path}"))
    with pytest.raises(InputError, match=r"prepare_data\.py fusion"):
        stage.training_step(stage.network, batch, 0)
    damaged = teacher_path(tmp_path, "roadscene/FLIR_00000")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"none")
    with pytest.raises(InputError, match="make it again"):
        read_teacher(tmp_path, "roadscene/FLIR_00000")

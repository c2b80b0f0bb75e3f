from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ldfusion.config import Experiment
from ldfusion.data.pairs import build_dataset, collate
from ldfusion.detection.load import load_detector
from ldfusion.errors import InputError
from ldfusion.io.image import read_visible
from ldfusion.training.loop import train
from ldfusion.training.stages import build_stage
from ldfusion.training.stages.detector import show

Tiny = Callable[..., Experiment]


def test_a_run_trains_validates_and_exports(tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval", reason="the extra `eval` is not installed")
    figures = train(tiny("detector"))
    assert set(figures) == {f"{kind}/{name}" for kind in ("visible", "infrared", "mean") for name in ("AP50", "AP")}
    assert all(0 <= value <= 1 for value in figures.values())
    detector = load_detector(tmp_path / "run" / "weights")
    found = detector(torch.rand(2, 1, 70, 50))
    assert len(found) == 2 and all(part.boxes.shape == (len(part.scores), 4) for part in found)
    picture, _ = read_visible(next((tmp_path / "run" / "pictures").rglob("boxes.png")))
    assert picture.shape == (3, 64, 96)


def test_every_part_learns(tiny: Tiny) -> None:
    experiment = tiny("detector")
    stage = build_stage(experiment)
    dataset = build_dataset(experiment.data, 0, True, **stage.dataset_options)
    losses = stage.training_step(stage.network, collate([dataset[k] for k in range(4)]), 0)
    losses["loss"].backward()
    assert all(p.grad is not None for p in stage.network.parameters())
    assert losses["loss"].item() == pytest.approx(losses["centres"].item() + 2 * losses["sides"].item())


def test_samples_show_one_sensor_or_a_mixture() -> None:
    visible, infrared = torch.rand(64, 3, 4, 4), torch.rand(64, 1, 4, 4)
    images, shown = show(visible, infrared, torch.arange(64) * 7919)
    assert {1, 2, 3} == set(shown) and 20 < shown.count(3) < 44
    for image, colour, heat, sensor in zip(images, visible, infrared, shown, strict=True):
        if sensor == 1:
            torch.testing.assert_close(image, colour)
        if sensor == 2:
            torch.testing.assert_close(image, heat.expand(3, -1, -1))
    again, _ = show(visible, infrared, torch.arange(64) * 7919)
    torch.testing.assert_close(images, again)


def test_bad_settings(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="multiples of 32"):
        experiment = tiny("detector", "data.crop=[60,96]")
        build_stage(experiment)
    with pytest.raises(InputError, match=r"no config\.json"):
        load_detector("/nowhere")

"""What a prompt changes in the embedded network: a rendered street with people must notice who is asked for."""

from __future__ import annotations

import pytest
import torch

from ldfusion.benchmarks.language import prompt_rows
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.rendering import render_scene


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    scene = render_scene(31, "night", "street", (192, 256), registered=True)
    mask = torch.from_numpy(scene.labels).long().reshape(1, 192, 256)
    images = {name: torch.from_numpy(getattr(scene, name))[None] for name in ("visible", "infrared")}
    return {**images, "mask": mask, "seed": torch.tensor([3])}


def test_people_are_brighter_when_they_are_asked_for(batch: dict[str, torch.Tensor]) -> None:
    """The mutation check of the modulation: without gamma and beta nothing changes, and the rows are 0."""
    pipe = LDFusionPipeline.from_pretrained()
    found = prompt_rows(pipe, [batch])
    assert found.keys() == {"prompt/elsewhere", "prompt/person"}  # there is no car in the scene
    assert found["prompt/person"] > 0.5 and found["prompt/elsewhere"] < found["prompt/person"]
    nobody = prompt_rows(pipe, [{**batch, "mask": torch.zeros_like(batch["mask"])}])
    assert nobody.keys() == {"prompt/elsewhere"}
    for name, parameter in pipe.fuser.decoder.named_parameters():
        if "modulation" in name:
            parameter.detach().zero_()
    silent = prompt_rows(pipe, [batch])
    assert silent["prompt/person"] == silent["prompt/elsewhere"] == 0

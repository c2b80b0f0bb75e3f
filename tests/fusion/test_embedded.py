"""The decoder in the package, on rendered scenes: what a reset or a swapped part would lose."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldfusion.evaluation.metrics import compute_metrics
from ldfusion.evaluation.suite import luma_codes
from ldfusion.fusion.guidance import Guidance
from ldfusion.fusion.methods import load_method
from ldfusion.io.color import luma, rgb_to_ycbcr
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.rendering import render_scene

Pair = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def pipe() -> LDFusionPipeline:
    return LDFusionPipeline.from_pretrained()


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    scenes = [render_scene(91_000 + k, light, "street", (192, 256), registered=True) for k, light in enumerate(LIGHTS)]
    return [(torch.from_numpy(s.visible)[None], torch.from_numpy(s.infrared)[None]) for s in scenes]


LIGHTS = ("day", "night", "unlit", "smoke")


def fuse(pipe: LDFusionPipeline, pair: Pair, tone: str = "natural") -> Tensor:
    return pipe.guided_by(Guidance("a street with a car and a person", tone=tone)).fuse(*pair)


def test_it_keeps_what_each_source_has_better_than_the_maximum_does(pipe: LDFusionPipeline, pairs: list[Pair]) -> None:
    maximum = load_method("maximum")
    rows = []
    for visible, infrared in pairs:
        images = torch.cat(
            [luma_codes(image[0]) for image in (fuse(pipe, (visible, infrared)), maximum.fuse(visible, infrared))]
        )
        found = compute_metrics(images, luma_codes(visible[0]), luma_codes(infrared[0]), ("SCD", "SF", "SD"))
        rows.append(torch.stack([found[name][0] - found[name][1] for name in ("SCD", "SF", "SD")]))
    assert (torch.stack(rows).mean(0) > 0).all(), torch.stack(rows)


def test_colours_stay_and_little_is_clipped(pipe: LDFusionPipeline, pairs: list[Pair]) -> None:
    for visible, infrared in pairs:
        fused = fuse(pipe, (visible, infrared))
        change = (rgb_to_ycbcr(fused) - rgb_to_ycbcr(visible))[:, 1:].abs().mean()
        assert change < 0.02
        codes = luma_codes(fused[0])
        sources = [luma_codes(image[0]) for image in (visible, infrared)]
        clipped = [float(((c <= 0) | (c >= 255)).float().mean()) for c in (codes, *sources)]
        assert clipped[0] < max(clipped[1:]) + 0.03


def test_tones_do_what_their_names_say(pipe: LDFusionPipeline, pairs: list[Pair]) -> None:
    for pair in pairs[:2]:
        natural, contrast, bright = (luma(fuse(pipe, pair, tone)) for tone in ("natural", "contrast", "bright"))
        assert bright.mean() > natural.mean() + 0.02
        assert contrast.std() > 1.03 * natural.std()


def test_another_scene_makes_another_grid(pipe: LDFusionPipeline, pairs: list[Pair]) -> None:
    """A decoder that gave one and the same grid would pass for a fixed filter."""
    grids: list[Tensor] = []

    def keep(grid: Tensor, _stack: Tensor) -> Tensor:
        grids.append(grid)
        return grid

    text = pipe.text_encoder.encode(["a street"])
    for visible, infrared in pairs:
        noise = torch.zeros(1, 4, *pipe.fuser.working_shape(*visible.shape[-2:]))
        pipe.fuser.fuse(visible, infrared, text, noise, settle=keep)
    means = torch.stack([grid.mean(dim=(0, 1, 4, 5)) for grid in grids])
    assert means.std(dim=0).max() > 0.02
    assert all(grid.std(dim=(4, 5)).max() > 0.004 for grid in grids)

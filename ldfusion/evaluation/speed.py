"""Time of every step of the pipeline beside one pass of the GRDB network, in one run on one machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldfusion.diffusion.features import pipeline_noise
from ldfusion.errors import InputError
from ldfusion.fusion.grid import apply_tiled
from ldfusion.fusion.methods import load_method
from ldfusion.fusion.seafusion import GRDBFusionNetwork
from ldfusion.io.color import luma, to_stack
from ldfusion.io.size import resize
from ldfusion.pipeline import LDFusionPipeline


@dataclass(frozen=True)
class StepTime:
    """Median seconds of one step and their ratio to one pass of the GRDB network."""

    step: str
    seconds: float
    ratio: float


@torch.no_grad()
def pipeline_times(pipe: LDFusionPipeline, visible: Tensor, infrared: Tensor, repeats: int = 5) -> list[StepTime]:
    """Median times of the pipeline's steps on one pair; the steps take turns, so that a slow moment hits all alike.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1].
        repeats: timed rounds after one that is not counted.

    Returns:
        One row a step, then the whole pipeline call, the GRDB network of SeAFusion (166,657 parameters, random weights,
        the faster of both memory layouts), and the method seafusion, which is this network from colour to colour.
    """
    torch.manual_seed(0)
    grdb = GRDBFusionNetwork().eval()
    grdb_last = GRDBFusionNetwork().eval().to(memory_format=torch.channels_last)
    seafusion = load_method("seafusion")
    grey = luma(visible)
    depth_visible, depth_infrared = pipe.twin.visible(visible), pipe.twin.infrared(infrared)
    sentence = pipe.describe(visible, infrared, depth_visible, depth_infrared)[0]["caption"]
    text = pipe.text_encoder.encode([sentence])
    fuser = pipe.fuser
    shape = fuser.working_shape(*visible.shape[-2:])
    noise = pipeline_noise((1, *shape), 0, None, visible.device)
    stack = to_stack(resize(visible, shape), resize(infrared, shape))
    grid = fuser.coefficients(stack, text, noise)
    fused = apply_tiled(grid, visible, infrared)
    steps: dict[str, Callable[[], object]] = {
        "depth of the visible image": lambda: pipe.twin.visible(visible),
        "depth of the infrared image": lambda: pipe.twin.infrared(infrared),
        "caption": lambda: pipe.describe(visible, infrared, depth_visible, depth_infrared),
        "text features": lambda: pipe.text_encoder.encode([sentence]),
        "diffusion features": lambda: fuser.extractor(stack, noise),
        "diffusion features and decoding": lambda: fuser.coefficients(stack, text, noise),
        "slicing": lambda: apply_tiled(grid, visible, infrared),
        "depth of the fused image": lambda: pipe.twin.fused(fused),
        "whole pipeline": lambda: pipe(visible, infrared),
        "GRDB network": lambda: grdb(grey, infrared),
        "GRDB network, channels last": lambda: grdb_last(grey, infrared),
        "method seafusion": lambda: seafusion(visible, infrared),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, function in steps.items():
            start = time.perf_counter()
            function()
            if turn:
                taken[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    reference = min(seconds.pop("GRDB network, channels last"), seconds["GRDB network"])
    seconds["GRDB network"] = reference
    return [StepTime(name, value, value / reference) for name, value in seconds.items()]


def speed_table(pipe: LDFusionPipeline, size: str, threads: int, repeats: int = 5) -> str:
    """`pipeline_times` on a rendered pair of ``WIDTHxHEIGHT`` pixels as a markdown table.

    Raises:
        InputError: a size that is not two whole numbers.
    """
    from ldfusion.data.synthetic import render_scene

    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise InputError(f"--size {size}: write it as WIDTHxHEIGHT, e.g. 640x480")
    torch.set_num_threads(threads)
    scene = render_scene(0, light="night", size=(int(height), int(width)), registered=True)
    rows = pipeline_times(pipe, torch.from_numpy(scene.visible)[None], torch.from_numpy(scene.infrared)[None], repeats)
    lines = [f"| step ({size}, {threads} threads) | seconds | of one GRDB pass |", "|---|---|---|"]
    return "\n".join(lines + [f"| {row.step} | {row.seconds:.3f} | {row.ratio:.2f} |" for row in rows])

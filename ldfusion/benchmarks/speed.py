"""Time of every step of the pipeline beside one pass of the GRDB network, in one run on one machine."""

from __future__ import annotations

import argparse
import math
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

REFERENCE = "640x480"
"""Size that published times of fusion networks are given for."""


@dataclass(frozen=True)
class StepTime:
    """Median seconds of one step and their ratio to one pass of the GRDB network."""

    step: str
    seconds: float
    ratio: float


@torch.no_grad()
def pipeline_times(
    pipe: LDFusionPipeline,
    visible: Tensor,
    infrared: Tensor,
    repeats: int = 5,
    reference: tuple[Tensor, Tensor] | None = None,
) -> list[StepTime]:
    """Median times of the pipeline's steps on one pair; the steps take turns, so that a slow moment hits all alike.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, H, W) in [0, 1].
        repeats: timed rounds after one that is not counted.
        reference: visible and infrared image that the GRDB network and the method seafusion get instead; without tiles
            the network takes tens of gigabytes at 24 megapixels.

    Returns:
        One row a step, then the whole pipeline call, the GRDB network of SeAFusion (166,657 parameters, random weights,
        the faster of both memory layouts), and the method seafusion, which is this network from colour to colour.
    """
    torch.manual_seed(0)
    grdb = GRDBFusionNetwork().eval()
    grdb_last = GRDBFusionNetwork().eval().to(memory_format=torch.channels_last)
    seafusion = load_method("seafusion")
    measured = reference or (visible, infrared)
    grey, warm = luma(measured[0]), measured[1]
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
        "GRDB network": lambda: grdb(grey, warm),
        "GRDB network, channels last": lambda: grdb_last(grey, warm),
        "method seafusion": lambda: seafusion.fuse(*measured),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, function in steps.items():
            start = time.perf_counter()
            function()
            if turn:
                taken[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    one_pass = min(seconds.pop("GRDB network, channels last"), seconds["GRDB network"])
    seconds["GRDB network"] = one_pass
    return [StepTime(name, value, value / one_pass) for name, value in seconds.items()]


def speed_table(pipe: LDFusionPipeline, size: str, threads: int, repeats: int = 5, reference: str = REFERENCE) -> str:
    """`pipeline_times` on a rendered pair as a markdown table.

    Args:
        size: of the pair, ``WIDTHxHEIGHT`` in pixels.
        threads: of every operation.
        repeats: timed rounds.
        reference: size of what the GRDB network and seafusion are timed on.

    Raises:
        InputError: a size that is not two whole numbers.
    """
    shape, reference_shape = size_of(size, "--size"), size_of(reference, "--reference")
    torch.set_num_threads(threads)
    pair = rendered(shape)
    rows = pipeline_times(pipe, *pair, repeats, pair if shape == reference_shape else rendered(reference_shape))
    lines = [f"| step ({size}, {threads} threads) | seconds | of one GRDB pass at {reference} |", "|---|---|---|"]
    return "\n".join(lines + [f"| {row.step} | {row.seconds:.3f} | {row.ratio:.2f} |" for row in rows])


def size_of(size: str, option: str) -> tuple[int, int]:
    """Height and width of ``WIDTHxHEIGHT``.

    Raises:
        InputError: not two whole numbers; ``option`` is named.
    """
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise InputError(f"{option} {size}: write it as WIDTHxHEIGHT, e.g. {REFERENCE}")
    return int(height), int(width)


def rendered(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A rendered pair of (height, width); beyond a megapixel an enlarged one, as the renderer's time is not asked."""
    from ldfusion.rendering import render_scene

    scale = min(1.0, math.sqrt(1e6 / (shape[0] * shape[1])))
    size = (round(shape[0] * scale), round(shape[1] * scale))
    scene = render_scene(0, light="night", size=size, registered=True)
    visible, infrared = (resize(torch.from_numpy(image)[None], shape) for image in (scene.visible, scene.infrared))
    return visible, infrared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT of the pair")
    parser.add_argument("--reference", default="640x480", help="WIDTHxHEIGHT that the GRDB network is timed at")
    parser.add_argument("--threads", type=int, default=2)


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    return speed_table(
        LDFusionPipeline.from_pretrained(args.weights), args.size, args.threads, reference=args.reference
    )

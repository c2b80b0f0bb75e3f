"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ldfusion.commands import values
from ldfusion.errors import InputError

if TYPE_CHECKING:
    import torch

    from ldfusion.fusion.methods import FusionMethod
    from ldfusion.io.thermal import ThermalOptions
    from ldfusion.pipeline import LDFusionPipeline


METHODS = (
    "ldfusion",
    "zero-learning",
    "alpha",
    "laplacian",
    "mean",
    "maximum",
    "maximum-stretched",
    "seafusion",
    "edges",
)
"""Names of `ldfusion.fusion.methods`, known here without loading it."""

THERMAL_UNITS = ("auto", "celsius", "kelvin", "kelvin-10", "kelvin-25", "kelvin-100", "counts")
"""Names of `ldfusion.io.thermal`, likewise."""

TONES = ("natural", "contrast", "bright")
"""Names of `ldfusion.fusion.tone`, likewise."""

_OVERLAYS = ("alpha", "zero-learning")
_GUIDED = "ldfusion"


def add_pair(parser: argparse.ArgumentParser) -> None:
    """The two sides of a pair: two files, or two folders whose files are matched by stem."""
    parser.add_argument("visible", type=Path, metavar="VISIBLE", help="visible image, or a folder of them")
    parser.add_argument(
        "infrared", type=Path, metavar="INFRARED", help="infrared image, or a folder with files of the same names"
    )


def add_thermal(parser: argparse.ArgumentParser) -> None:
    """How infrared files are read."""
    parser.add_argument(
        "--range",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="what becomes black and white in the infrared images: degrees C where the files have them, else their own "
        "units (default: percentiles, one pair for a folder)",
    )
    parser.add_argument(
        "--thermal-unit",
        choices=THERMAL_UNITS,
        default="auto",
        help="unit of infrared files of plain numbers: kelvin-100 is kelvin x 100 (default: told by their range)",
    )
    parser.add_argument("--page", type=values.page, metavar="N", help="page of TIFF files that have several (first)")


def thermal_options(args: argparse.Namespace, files: Sequence[Path]) -> ThermalOptions:
    """The options of `add_thermal`; without a range one gain for all of ``files`` where there are several.

    Raises:
        InputError: a range that is none.
    """
    from ldfusion.io.radiometric import common_limits
    from ldfusion.io.thermal import ThermalOptions

    limits = getattr(args, "range", None)
    if limits is not None and not limits[0] < limits[1]:
        raise InputError(f"--range {limits[0]:g} {limits[1]:g}: give the lower one first")
    given = ThermalOptions(
        unit=getattr(args, "thermal_unit", "auto"), limits=limits and tuple(limits), page=getattr(args, "page", None)
    )
    if given.limits is None and len(files) > 1:
        given = replace(given, limits=common_limits(files, given))
    return given


def add_output(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Where results go, and whether older ones may be replaced."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        required=default is None,
        default=default,
        help="folder of the results",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there (default: keep them)")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which weights run, and where."""
    parser.add_argument(
        "--weights", metavar="DIR_OR_ID", help="pipeline folder or hub id (default: the weights inside the package)"
    )
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute (default: auto, a GPU if any)",
    )


def add_method(parser: argparse.ArgumentParser) -> None:
    """Which fusion method, and the weight of overlays."""
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="how to fuse: ldfusion, the guided pipeline; zero-learning, saliency and VGG features; alpha, an overlay; "
        "laplacian, pyramids; mean; maximum, the brighter of both, also stretched to the full range; seafusion, the "
        "GRDB network; edges, visible detail drawn over the infrared colours, which go on standing for temperatures "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--alpha",
        type=values.alpha,
        metavar="A",
        help="weight of an overlay on the visible colours: of the infrared image with --method alpha (default: 0.35), "
        "of the fused grey image with --method zero-learning (default: none, its luma takes the visible one's place)",
    )


def add_guidance(parser: argparse.ArgumentParser) -> None:
    """What steers the fusion of a pair."""
    parser.add_argument(
        "--prompt",
        type=values.prompt,
        metavar="TEXT",
        help="sentence that guides the fusion (default: the pair's caption)",
    )
    parser.add_argument(
        "--timesteps",
        type=values.timesteps,
        metavar="T,T,...",
        help="noise levels of the diffusion features, like 5,50,100 (default: those the weights were trained with)",
    )
    parser.add_argument(
        "--tone",
        choices=TONES,
        help="how the fused image is toned: natural, contrast (deeper shadows, brighter lights) or bright "
        "(default: natural)",
    )
    parser.add_argument(
        "--seed",
        type=values.seed,
        metavar="N",
        default=0,
        help="seed of the noise; the same gives the same (default: 0)",
    )


def choose_device(name: str) -> torch.device:
    """The device behind ``--device``; under ``accelerate launch`` each process has its own.

    Raises:
        InputError: ``cuda`` on a machine where torch sees none.
    """
    from accelerate import PartialState

    device: torch.device = PartialState(cpu=name == "cpu").device
    if name == "cuda" and device.type != "cuda":
        raise InputError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return device


def load_pipeline(args: argparse.Namespace) -> LDFusionPipeline:
    """The pipeline of ``--weights`` (the embedded one by default) on ``--device``."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    device = choose_device(args.device)
    # Loading takes a second or two: bars for its parts and remarks to developers would only bury what matters.
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()

    from ldfusion.pipeline import LDFusionPipeline

    pipe: LDFusionPipeline = LDFusionPipeline.from_pretrained(args.weights).to(device)
    return pipe


def check_guidance(pipe: LDFusionPipeline, args: argparse.Namespace) -> None:
    """Refuse guidance that these weights cannot use, before any image is read.

    Raises:
        InputError: a prompt without a readable character, or timesteps outside the noise schedule.
    """
    if args.prompt is not None:
        pipe.text_encoder.tokenizer(args.prompt)
    if args.timesteps is not None:
        pipe.fuser.extractor.check_timesteps(args.timesteps)


def check_method(args: argparse.Namespace) -> None:
    """Refuse options that the chosen method has no use for.

    Raises:
        InputError: an overlay weight for a method that is none, or guidance for another method than ``ldfusion``.
    """
    if args.alpha is not None and args.method not in _OVERLAYS:
        raise InputError(f"--alpha is for the methods {' and '.join(_OVERLAYS)}, not for '{args.method}'")
    if args.method != _GUIDED:
        for name in ("prompt", "timesteps", "tone", "weights"):
            if getattr(args, name, None) is not None:
                raise InputError(f"--{name} is for the method '{_GUIDED}', not for '{args.method}'")


def load_fusion(args: argparse.Namespace) -> FusionMethod:
    """The method of ``--method`` with its options, on ``--device``.

    Raises:
        InputError: options that do not belong together, or weights that are not there.
    """
    from ldfusion.fusion.methods import load_method
    from ldfusion.fusion.sentence import SentenceFusion

    check_method(args)
    if args.method == _GUIDED:
        return SentenceFusion(load_pipeline(args), args.prompt, args.seed, args.timesteps, args.tone or "natural")
    return load_method(args.method, choose_device(args.device), alpha=args.alpha)

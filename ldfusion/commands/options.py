"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import values
from ldfusion.errors import InputError
from ldfusion.registry import FUSION, Entry, choices, find

if TYPE_CHECKING:
    import torch

    from ldfusion.fusion.base import FusionMethod
    from ldfusion.pipeline import LDFusionPipeline


TONES = ("natural", "contrast", "bright")
"""Names of `ldfusion.fusion.tone`, which is not imported for a help text."""


_ALWAYS = ("seed", "device")
"""Options that every command line has, whether the method looks at them or not."""


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
    """Which fusion method, its options, and the weight of overlays."""
    parser.add_argument(
        "--method",
        type=values.choice(FUSION),
        metavar="METHOD",
        default="ldfusion",
        help=f"how to fuse: {choices(FUSION)}; or module:Class of one's own (default: %(default)s)",
    )
    add_settings(parser)
    parser.add_argument(
        "--runtime", choices=("torch", "onnx"), help="what runs the method realtime: torch or onnx (default: torch)"
    )
    parser.add_argument(
        "--alpha",
        type=values.alpha,
        metavar="A",
        help="weight of an overlay on the visible colours: of the infrared image with --method alpha (default: 0.35), "
        "of the fused grey image with --method zero-learning (default: none, its luma takes the visible one's place)",
    )


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Where the time goes."""
    parser.add_argument(
        "--profile", action="store_true", help="say how long reading, fusing and writing took, which overlap"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options of the chosen method that have no word of their own."""
    parser.add_argument(
        "--set",
        type=values.setting,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another option of the method; again for every further one",
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
    import torch
    from accelerate import PartialState

    # without a device `accelerate` knows of several processes only when it is told that they are to use the CPU
    anything = getattr(torch, "accelerator", torch.cuda).is_available()
    device: torch.device = PartialState(cpu=name == "cpu" or not (anything or name == "cuda")).device
    if name == "cuda" and device.type != "cuda":
        raise InputError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return device


def be_quiet() -> None:
    """Loading takes a second or two: bars for its parts and remarks to developers would only bury what matters."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()
        library.set_verbosity_error()


def load_pipeline(args: argparse.Namespace) -> LDFusionPipeline:
    """The pipeline of ``--weights`` (the embedded one by default) on ``--device``."""
    device = choose_device(args.device)
    be_quiet()

    from ldfusion.pipeline import LDFusionPipeline

    pipe: LDFusionPipeline = LDFusionPipeline.from_pretrained(args.weights).to(device)
    return pipe


def check_method(args: argparse.Namespace, entries: Mapping[str, Entry] = FUSION, what: str = "fusion method") -> None:
    """Refuse options that the chosen method has no use for.

    Raises:
        InputError: one that belongs to other methods, or a name that ``--set`` gives twice.
    """
    own = find(args.method, entries, what).options
    words = dict.fromkeys(name for entry in entries.values() for name in entry.options if name not in _ALWAYS)
    for name in words:
        if getattr(args, name, None) not in (None, False) and name not in own and args.method in entries:
            known = sorted(key for key, entry in entries.items() if name in entry.options)
            methods = f"method '{known[0]}'" if len(known) == 1 else f"methods {_listed(known)}"
            raise InputError(f"--{name} is for the {methods}, not for '{args.method}'")
    keys = [key for key, _ in args.set]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise InputError(f"--set: '{twice}' is given twice")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def settings(args: argparse.Namespace, entries: Mapping[str, Entry], what: str) -> dict[str, Any]:
    """What the chosen method is told: the words of the command line that are its options, and ``--set``."""
    own = find(args.method, entries, what).options
    return {name: getattr(args, name, None) for name in own} | dict(args.set)


def load_fusion(args: argparse.Namespace) -> FusionMethod:
    """The method of ``--method`` with its options, on ``--device``.

    Raises:
        InputError: options that do not belong together, or weights that are not there.
    """
    from ldfusion.fusion.methods import load_method

    check_method(args)
    device = choose_device(args.device)
    be_quiet()
    return load_method(args.method, device, **settings(args, FUSION, "fusion method"))

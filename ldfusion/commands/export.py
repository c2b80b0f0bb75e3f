"""Write a fast method or a depth network as an ONNX file, for programs without PyTorch.

The file takes images of any size and any number at once; it says in its metadata what they are (ranges, unit), of which
version and weights it is, its licence, and the checksum of a picture that it makes. It needs: pip install
'ldfusion[onnx]'. --check compares it with PyTorch on a pair of files or folders, --int8 writes its convolutions in
eight bits, which is smaller, and faster where the processor has the instructions.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import options, values
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from ldfusion.export import Target

METHODS = ("realtime", "realtime-tiny", "seafusion", "depth-visible", "depth-infrared")
"""Names of `ldfusion.export.TARGETS`."""
TOLERANCE = 1e-4
"""Difference from PyTorch that is taken for rounding."""
_SCENES = 8  # rendered pairs that --int8 is calibrated on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--method", choices=METHODS, default="realtime", metavar="METHOD", help=f"{', '.join(METHODS)} (realtime)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the file, .onnx")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument("--opset", type=int, metavar="N", default=18, help="version of ONNX's operators (18)")
    parser.add_argument("--int8", action="store_true", help="convolutions in eight bits")
    parser.add_argument(
        "--check",
        type=Path,
        nargs=2,
        metavar=("VISIBLE", "INFRARED"),
        help="compare with PyTorch on these files or folders; a difference above 0.0001 is an error without --int8",
    )
    parser.add_argument("--weights", metavar="DIR", help="folder of a trained network (default: embedded)")
    parser.add_argument("--prompt", type=values.prompt, metavar="TEXT", help="sentence inside the file (realtime)")
    parser.add_argument("--tone", choices=options.TONES, help="tone inside the file (realtime)")


def run(args: argparse.Namespace) -> int:
    """Export; 0 when done, 1 when --check finds a difference.

    Raises:
        InputError: options out of range, or a file of another kind.
    """
    if args.output.suffix != ".onnx":
        raise InputError(f"-o {args.output}: give a file ending in .onnx")
    if args.output.exists() and not args.overwrite:
        say(f"{args.output} is kept from before (--overwrite makes it anew)")
        return 0
    if args.opset < 18:
        raise InputError(f"--opset {args.opset}: give 18 or more; filtered resizing came with 18")

    from ldfusion.export import export
    from ldfusion.io.files import check_output_folder

    check_output_folder(args.output.parent)
    options.be_quiet()
    told = {name: getattr(args, name) for name in ("weights", "prompt", "tone")}
    target = export(args.method, args.output, args.opset, **told)
    if args.int8:
        from ldfusion.onnx.quantise import quantise

        quantise(args.output, args.output, [[x.numpy() for x in pair] for pair in _rendered(target)])
    say(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB, opset {args.opset}")
    return _check(args, target) if args.check else 0


def _check(args: argparse.Namespace, target: Target) -> int:
    from ldfusion.io.pairing import match_pairs
    from ldfusion.loading import load_pair
    from ldfusion.onnx.model import largest_difference
    from ldfusion.onnx.session import OnnxModel

    model, worst = OnnxModel(args.output), 0.0
    for name, visible, infrared in match_pairs(*args.check):
        pair = load_pair(visible, infrared, name)
        found = largest_difference(target.network, model, *_inputs(target, pair.visible, pair.infrared))
        worst = max(worst, found)
        print(f"{name}: largest difference from PyTorch {found:.2e}")
    if worst > TOLERANCE and not args.int8:
        say(f"error: {args.output} differs from PyTorch by {worst:.2e}; up to {TOLERANCE:g} is rounding")
        return 1
    return 0


def _inputs(target: Target, visible: Tensor, infrared: Tensor) -> Sequence[Tensor]:
    """What a target takes of a pair, of sizes that it takes."""
    from ldfusion.io.size import resize

    height, width = (max(1, side // target.multiple) * target.multiple for side in visible.shape[-2:])
    images: dict[str, Any] = {"visible": visible, "infrared": infrared}
    if "image" in target.inputs:
        images["image"] = visible if target.inputs["image"].shape[1] == visible.shape[1] else infrared
    return [resize(images[name], (height, width)) for name in target.inputs]


def _rendered(target: Target) -> list[Sequence[Tensor]]:
    """Rendered pairs by day and night."""
    import torch

    from ldfusion.rendering import render_scene

    found = []
    for k in range(_SCENES):
        scene = render_scene(k, size=(240, 320), registered=True)
        pair = (torch.from_numpy(image)[None].float() for image in (scene.visible, scene.infrared))
        found.append(_inputs(target, *pair))
    return found

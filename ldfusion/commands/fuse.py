"""Fuse pairs: a colour image, its depth, a panel and a caption for each.

VISIBLE and INFRARED are two files, or two folders whose files are matched by name without suffix. For each pair NAME:
  OUT/fused/NAME.png    the fused image, 8-bit colour, size of the visible image
  OUT/depth/NAME.png    its relative inverse depth, 16 bit; NAME.npy: float32; NAME_color.png: a preview
  OUT/panels/NAME.png   visible, infrared, depth, fused and caption in one picture
  OUT/captions.jsonl    one line a pair: name, method, caption, prompt, seed, weights
Depth and caption are the work of the method ldfusion; the others write the fused image, the panel and their line (name,
method, alpha), and `ldfusion depth` and `ldfusion caption` do the rest for any image.
With --register the infrared image is brought onto the visible one first (see `ldfusion register`); where it has no data
the visible luma stands in, which never darkens the result. A pair that cannot be registered is said so and fused as it
came, and the exit code is 1.
Results that are there are kept unless --overwrite is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import batches, options
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError
from ldfusion.io.records import RecordLog
from ldfusion.jobs import Job, Result, Work, is_main

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ldfusion.io.pairing import NamedPair
    from ldfusion.types import FusionOutput, Pair, Registration

CAPTIONS = "captions.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_pair(parser)
    options.add_output(parser)
    options.add_method(parser)
    parser.add_argument("--register", action="store_true", help="bring the infrared onto the visible image first")
    options.add_guidance(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Fuse all pairs; 0 when every pair has its results, 1 when some could not be done."""
    from ldfusion.io.files import check_output_folder

    options.check_method(args)
    pairs = batches.read_pairs(args)
    check_output_folder(args.output)
    return fuse_pairs(pairs, args)


def result_files(name: str, method: str = "ldfusion") -> list[Path]:
    """The files of one pair, relative to the output folder."""
    from depth.files import depth_files

    depth = depth_files(name, Path("depth")) if method == "ldfusion" else []
    return [Path("fused", f"{name}.png"), *depth, Path("panels", f"{name}.png")]


def fuse_pairs(pairs: Mapping[str, NamedPair], args: argparse.Namespace) -> int:
    """Fuse pairs of files by name with the options of the command."""
    log = RecordLog(args.output / CAPTIONS)
    job = Job(
        pairs,
        root=args.output,
        outputs=lambda name: result_files(name, args.method),
        overwrite=args.overwrite,
        log=log,
    ).check()
    if not args.overwrite:
        _refuse_another_method(pairs, log, args)
    options.choose_device(args.device)
    tally = job.run(lambda: _load(args))
    if is_main():
        say(f"{tally.words(f'{tally.done} fused')}; results in {args.output}")
    return tally.exit_code


def _refuse_another_method(pairs: Mapping[str, NamedPair], log: RecordLog, args: argparse.Namespace) -> None:
    """Results of two methods must not be mixed in one folder.

    Raises:
        InputError: some of these pairs were fused by another method.
    """
    done = {name: line.get("method", "ldfusion") for name, line in log.records().items()}
    others = [(name, done[name]) for name in pairs if done.get(name, args.method) != args.method]
    if others:
        raise InputError(
            f"{args.output} holds results of the method '{others[0][1]}' for {len(others)} of these pairs "
            f"({others[0][0]} ...); give another folder, or --overwrite to replace them"
        )


def _load(args: argparse.Namespace) -> Work[NamedPair]:
    """What fuses one pair."""
    read = _reader(args)
    return _pipeline(args, read) if args.method == "ldfusion" else _method(args, read)


def _reader(args: argparse.Namespace) -> Callable[[NamedPair], Pair]:
    """What reads one pair, and with ``--register`` registers it."""
    from ldfusion.loading import load_pair
    from ldfusion.registration import load_registrar

    register = getattr(args, "register", False)  # `ldfusion demo` has no such option
    registrar = load_registrar(device=options.choose_device(args.device)) if register else None

    def read(files: NamedPair) -> Pair:
        pair = load_pair(files[1], files[2], registrar=registrar)
        if pair.registration is not None and not pair.registration.trusted:
            say(
                f"error: {files[0]}: cannot be registered (score {pair.registration.score:.2f}); "
                "fused as it came, the infrared image only resized"
            )
        return pair

    return read


def _pipeline(args: argparse.Namespace, read: Callable[[NamedPair], Pair]) -> Work[NamedPair]:
    """What fuses one pair by the pipeline."""
    import torch

    from ldfusion.io.preview import shrunk

    pipe = options.load_pipeline(args)
    options.check_guidance(pipe, args)

    def fuse(name: str, files: NamedPair) -> Result:
        pair = read(files)
        sources = [shrunk(pair.visible[0]), shrunk(pair.infrared[0])]
        registration = pair.registration
        # A generator for each pair: its result depends neither on the others nor on how they are shared out.
        generator = torch.Generator().manual_seed(args.seed)
        output = pipe(
            pair.visible,
            pair.infrared,
            prompt=args.prompt,
            generator=generator,
            timesteps=args.timesteps,
            tone=args.tone or "natural",
            full_depth=False,
        )
        del pair  # 0.4 GB at 24 megapixels, before the files are encoded
        picture = _panel(sources, output)
        record = {
            "name": name,
            "method": args.method,
            "caption": output.caption[0],
            "prompt": output.prompt[0],
            "seed": args.seed,
            "weights": pipe.weights_id,
        }
        return _result(registration, record, lambda folder: _write(folder, name, picture, output, pipe.twin.metric))

    return fuse


def _method(args: argparse.Namespace, read: Callable[[NamedPair], Pair]) -> Work[NamedPair]:
    """The same for every other method."""
    method = options.load_fusion(args)
    device = options.choose_device(args.device)

    def fuse(name: str, files: NamedPair) -> Result:
        pair = read(files)
        fused = method(pair.visible.to(device), pair.infrared.to(device))[0].cpu()
        record = {"name": name, "method": args.method} | ({} if args.alpha is None else {"alpha": args.alpha})

        def write(folder: Path) -> None:
            _write_fused(folder, name, pair, fused, args.method)
            for file in set(result_files(name)) - set(result_files(name, args.method)):
                (args.output / file).unlink(missing_ok=True)  # of another method, which is replaced

        return _result(pair.registration, record, write)

    return fuse


def _result(found: Registration | None, record: dict[str, Any], write: Callable[[Path], object]) -> Result:
    """The result of a pair; one that could not be registered has a flaw."""
    if found is None:
        return Result(write, record=record)
    return Result(write, record=record | {"registered": found.trusted}, flawed=not found.trusted)


def _write_fused(folder: Path, name: str, pair: Pair, fused: Tensor, method: str) -> None:
    from ldfusion.io.files import atomic_write
    from ldfusion.io.image import write_png
    from ldfusion.io.preview import panel

    write_png(folder / "fused" / f"{name}.png", fused)
    with atomic_write(folder / "panels" / f"{name}.png") as temporary:
        panel([pair.visible[0], pair.infrared[0], fused], ["visible", "infrared", f"fused: {method}"]).save(temporary)


def _panel(sources: Sequence[Tensor], output: FusionOutput) -> Image.Image:
    from depth.estimator import enlarge
    from depth.preview import colorize_depth
    from ldfusion.io.preview import Picture, panel, shrunk

    fused = shrunk(output.fused[0])
    images: list[Picture] = [*sources, colorize_depth(enlarge(output.depth, *fused.shape[-2:])[0]), fused]
    return panel(images, ["visible", "infrared", "depth", "fused"], output.caption[0])


def _write(folder: Path, name: str, picture: Image.Image, output: FusionOutput, metric: bool) -> None:
    from depth.estimator import enlarge
    from depth.files import write_depth
    from ldfusion.io.files import atomic_write
    from ldfusion.io.image import write_png

    write_png(folder / "fused" / f"{name}.png", output.fused[0])
    write_depth(folder / "depth", name, enlarge(output.depth, *output.fused.shape[-2:]), metric)
    with atomic_write(folder / "panels" / f"{name}.png") as temporary:
        picture.save(temporary)

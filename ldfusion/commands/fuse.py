"""Fuse pairs: a colour image, its depth, a panel and a caption for each.

VISIBLE and INFRARED are two files, or two folders whose files are matched by name without suffix and marks like _vis
and _ir. VISIBLE alone is a folder with both kinds, or a thermal file that holds its visible photo. For each pair NAME:
  OUT/fused/NAME.png    the fused image, 8-bit colour, size of the visible image
  OUT/depth/NAME.png    its relative inverse depth, 16 bit; NAME.npy: float32; NAME_color.png: a preview
  OUT/panels/NAME.png   visible, infrared, depth, fused and caption in one picture
  OUT/captions.jsonl    one line a pair: name, method, caption, prompt, seed, weights
  OUT/run.json          settings, versions, and the sources of each result
Depth and caption are the work of the method ldfusion; the others write the fused image, the panel and their line (name,
method, alpha), and `ldfusion depth` and `ldfusion caption` do the rest for any image.
With --register the infrared image is brought onto the visible one first (see `ldfusion register`); where it has no data
the visible luma stands in, which never darkens the result. A pair that cannot be registered is said so and fused as it
came, and the exit code is 1.
Results that are there are kept unless --overwrite is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import batches, inputs, options
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError
from ldfusion.io.records import RecordLog
from ldfusion.io.run_file import RunFile
from ldfusion.jobs import Job, Overlapped, Result, Work, is_main
from ldfusion.overlap import Profile
from ldfusion.registry import FUSION, find

if TYPE_CHECKING:
    from ldfusion.io.pairing import NamedPair
    from ldfusion.io.thermal import ThermalOptions
    from ldfusion.registration.methods import Registrar
    from ldfusion.types import Pair

_SETTINGS = (
    *("method", "weights", "prompt", "seed", "timesteps", "tone", "alpha", "set"),
    *("register", "range", "thermal_unit", "page"),
)
"""Words of the command that decide how a result looks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    inputs.add_pair(parser)
    options.add_output(parser)
    options.add_method(parser)
    options.add_profile(parser)
    inputs.add_thermal(parser)
    parser.add_argument("--register", action="store_true", help="bring the infrared onto the visible image first")
    options.add_guidance(parser)
    options.add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Fuse all pairs; 0 when every pair has its results, 1 when some could not be done."""
    from ldfusion.io.files import output_folder

    options.check_method(args)
    pairs = batches.read_pairs(args)
    with output_folder(args.output):
        return fuse_pairs(pairs, args)


def fuse_pairs(pairs: Mapping[str, NamedPair], args: argparse.Namespace) -> int:
    """Fuse pairs of files by name with the options of the command."""
    from ldfusion.output import CAPTIONS, result_files

    log = RecordLog(args.output / CAPTIONS)
    described = find(args.method, FUSION, "fusion method").describes
    run_file = RunFile(args.output, "fuse", _settings(args))

    def begin() -> None:
        if not args.overwrite:
            _refuse_another_method(pairs, log, args)
            run_file.check()
        run_file.start()

    def end() -> None:
        made = log.records()
        sources = {n: {"visible": str(p[1]), "infrared": str(p[2])} for n, p in pairs.items() if n in made}
        run_file.write(sources)

    job = Job(
        pairs,
        root=args.output,
        outputs=lambda name: result_files(name, described),
        overwrite=args.overwrite,
        log=log,
        begin=begin,
        end=end,
    ).check()
    options.choose_device(args.device)
    profile = Profile()
    tally = job.run(lambda: _load(args, [pair[2] for pair in pairs.values()], profile))
    if is_main() and getattr(args, "profile", False):
        say(profile.words())
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


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """What was said of `_SETTINGS`."""
    return {name: getattr(args, name) for name in _SETTINGS if getattr(args, name, None) not in (None, False, [])}


def _load(args: argparse.Namespace, infrared: Sequence[Path], profile: Profile) -> Work[NamedPair]:
    """What fuses one pair; ``infrared`` are all infrared files, which share a gain."""
    from ldfusion.output import result_files
    from ldfusion.registration import load_registrar

    method = options.load_fusion(args)
    register = getattr(args, "register", False)  # `ldfusion demo` has no such option
    registrar = load_registrar(device=options.choose_device(args.device)) if register else None
    thermal = inputs.thermal_options(args, infrared)

    def read(name: str, files: NamedPair) -> Pair:
        with profile.of("read"):
            return _pair(files, registrar, thermal)

    def fuse(name: str, pair: Pair) -> Result:
        with profile.of("fuse"):
            output = method(pair, full_depth=False)
        del pair  # at 24 megapixels 0.4 GB are gone before the files are encoded
        found = output.registration[0] if output.registration else None
        if found is not None and not found.trusted:
            say(
                f"error: {name}: cannot be registered (score {found.score:.2f}); "
                "fused as it came, the infrared image only resized (`ldfusion register --any-turn` tries it turned)"
            )

        def write(folder: Path) -> None:
            with profile.of("write"):
                output.write(folder, name)
            for file in set(result_files(name, True)) - set(result_files(name, output.depth is not None)):
                (args.output / file).unlink(missing_ok=True)  # of another method, which is replaced

        return Result(write, record=output.record(name), flawed=found is not None and not found.trusted)

    described = find(args.method, FUSION, "fusion method").describes
    if registrar is None and not described:  # the others' own work is the limit, and they need the memory
        return Overlapped(read, fuse)
    return lambda name, files: fuse(name, read(name, files))


def _pair(files: NamedPair, registrar: Registrar | None, thermal: ThermalOptions) -> Pair:
    from ldfusion.loading import load_pair

    return load_pair(files[1], files[2], registrar=registrar, options=thermal)

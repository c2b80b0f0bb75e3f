"""Register pairs: bring each infrared image onto the pixel grid of its visible image.

VISIBLE and INFRARED are two files, or two folders whose files are matched by name without suffix. For each pair NAME:
  OUT/registered/NAME.png   the infrared image as it came, with all its channels and bits, warped; 0 where it has no
                            data (NAME.tiff for what a PNG cannot hold: float, 32 bits, grey with alpha). Of a thermal
                            camera's JPEG its degrees C (float, NaN where there are none) or raw counts, not the picture
  OUT/valid/NAME.png        255 where the infrared image covers the visible one, 0 elsewhere
  OUT/transforms/NAME.json  matrix (3x3, infrared pixels -> visible pixels, pixel centres at integers), model, score
                            (0 to 1), trusted
  OUT/flows/NAME.npy        with --flow: (2, H, W) float32; visible pixel x shows infrared pixel x + flow(x), (x, y)
  OUT/panels/NAME.png       infrared, visible, warped, difference before, difference after
  OUT/edges/NAME.png        edges of both images over each other, before and after
With --any-turn an infrared image that is mirrored or turned by quarters is found, and how to make it upright is said
(seven more tries for a pair that fails). With --fixed-rig
all pairs come from two cameras that stand still to each other: up to nine of them vote for one transform for all.
A pair that cannot be registered, because the images share no content for instance, is said so: its infrared image is
only resized, "trusted" is false, and the exit code is 1. Results that are there are kept unless --overwrite is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import batches, inputs, options, values
from ldfusion.commands.terminal import say
from ldfusion.errors import InputError
from ldfusion.jobs import Job, Result, Work, is_main
from ldfusion.registry import REGISTRATION, choices

if TYPE_CHECKING:
    from torch import Tensor

    from ldfusion.io.pairing import NamedPair
    from ldfusion.registration import Registrar, Registration
    from ldfusion.registration.turns import AnyTurn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    inputs.add_pair(parser)
    options.add_output(parser)
    _add_registration(parser)
    parser.add_argument(
        "--any-turn", action="store_true", help="also try the infrared image mirrored and turned by quarters"
    )
    parser.add_argument(
        "--fixed-rig", action="store_true", help="one transform for all pairs, which several of them vote for"
    )
    parser.add_argument("--flow", action="store_true", help="also write the dense displacement")
    inputs.add_thermal(parser)
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Register all pairs; 0 when every pair is registered, 1 when some could not be."""
    from ldfusion.io.files import output_folder

    options.check_method(args, REGISTRATION, "registration method")
    pairs = batches.read_pairs(args)
    options.choose_device(args.device)

    def outputs(name: str) -> list[Path]:
        """With the suffix of what is there, which only the infrared file itself could tell."""
        suffix = ".tiff" if (args.output / result_files(name, False, ".tiff")[0]).exists() else ".png"
        return result_files(name, args.flow, suffix)

    job = Job(pairs, root=args.output, outputs=outputs, overwrite=args.overwrite)
    with output_folder(args.output):
        tally = job.run(lambda: _load(args, pairs))
    flawed = [f"{tally.flawed} could not be registered"] if tally.flawed else []
    if is_main():
        say(f"{tally.words(f'{tally.done - tally.flawed} registered', *flawed)}; results in {args.output}")
    return tally.exit_code


def result_files(name: str, flow: bool, suffix: str = ".png") -> list[Path]:
    """The files of one pair, relative to the output folder; ``suffix`` is the warped image's."""
    pictures = [Path(folder, f"{name}.png") for folder in ("valid", "panels", "edges")]
    dense = [Path("flows", f"{name}.npy")] if flow else []
    return [Path("registered", f"{name}{suffix}"), *pictures, Path("transforms", f"{name}.json"), *dense]


def _load(args: argparse.Namespace, pairs: Mapping[str, NamedPair]) -> Work[NamedPair]:
    """What registers one pair; all of ``pairs`` may vote for their common transform."""
    from ldfusion.io.image import read_infrared, stored_suffix
    from ldfusion.io.radiometric import read_stored
    from ldfusion.registration.methods import settle
    from ldfusion.registration.turns import TRIES, AnyTurn

    registrar = AnyTurn(_load_registrar(args), tries=TRIES if args.any_turn else 0)
    thermal = inputs.thermal_options(args, [])  # each its own gain: edges count, not how one compares with the others

    def read(files: NamedPair) -> tuple[Tensor, Tensor]:
        return _read_visible(files), read_infrared(files[2], options=thermal)[None]

    common = _vote(pairs, read, registrar) if args.fixed_rig else None

    def work(name: str, files: NamedPair) -> Result:
        _, visible_file, infrared_file = files
        visible, infrared = read(files)
        found = settle(common or registrar(visible, infrared), visible, infrared)
        if registrar.advice and common is None:
            say(f"{name}: {infrared_file} is turned or mirrored: registered so; to make it upright, {registrar.advice}")
        if not found.trusted:
            say(
                f"error: {name}: cannot be registered (score {found.score:.2f}): no transform brings the content of "
                f"{infrared_file} onto {visible_file}; the infrared image is only resized"
                + ("" if args.any_turn else " (is it turned or mirrored? --any-turn tries)")
            )
        raw, degrees = read_stored(infrared_file, args.page)
        return Result(
            lambda folder: _write(folder, name, visible, infrared, (raw, nan if degrees else 0.0), found, args.flow),
            result_files(name, args.flow, stored_suffix(raw)),
            flawed=not found.trusted,
        )

    return work


def _vote(
    pairs: Mapping[str, NamedPair], read: Callable[[NamedPair], tuple[Tensor, Tensor]], registrar: AnyTurn
) -> Registration:
    """The transform that pairs from all over the folder vote for; those that cannot be read are told in their turn."""
    from ldfusion.registration.votes import VOTES, fixed_rig

    files = list(pairs.values())
    chosen = [files[k * len(files) // min(VOTES, len(files))] for k in range(min(VOTES, len(files)))]

    def voters() -> Iterator[tuple[Tensor, Tensor]]:
        for each in chosen:
            with suppress(InputError):
                yield read(each)

    say(f"{len(chosen)} of {len(files)} pairs vote for one transform")
    found = fixed_rig(voters(), registrar)
    if registrar.advice:
        say(f"the infrared images are turned or mirrored: registered so; to make them upright, {registrar.advice}")
    return found


def _read_visible(files: NamedPair) -> Tensor:
    """(1, 3, H, W); of a thermal file alone the photo in it."""
    from ldfusion.io.image import photo_of, read_visible
    from ldfusion.io.radiometric import read_thermal

    _, visible, infrared = files
    if visible == infrared:
        photo = read_thermal(infrared).photo
        if photo is not None:
            return photo_of(photo)
    return read_visible(visible)[0][None]


def _write(
    folder: Path,
    name: str,
    visible: Tensor,
    infrared: Tensor,
    stored: tuple[Any, float],
    found: Registration,
    flow: bool,
) -> None:
    """Write the results; ``stored`` are the values of the infrared file, and what stands where it has none."""
    from ldfusion.io.files import atomic_write
    from ldfusion.io.image import stored_suffix, write_png, write_stored
    from ldfusion.io.size import resize
    from ldfusion.registration.align import align_stored, resample
    from ldfusion.registration.files import write_flow, write_transform
    from ldfusion.registration.pictures import edge_panel, five_panels
    from ldfusion.registration.warp import matrix_to_flow, registration_points

    size = (visible.shape[-2], visible.shape[-1])
    after, mask = resample(infrared, registration_points(found, size))
    before = resize(infrared, size)
    raw, outside = stored
    write_stored(folder / "registered" / f"{name}{stored_suffix(raw)}", align_stored(raw, found, size, outside))
    write_png(folder / "valid" / f"{name}.png", mask[0].float())
    write_transform(folder / "transforms" / f"{name}.json", found)
    if flow:
        dense = matrix_to_flow(found.matrix, size) if found.flow is None else found.flow
        write_flow(folder / "flows" / f"{name}.npy", dense)
    verdict = "trusted" if found.trusted else "not trusted: the infrared image is only resized"
    caption = f"{name}: {found.model}, score {found.score:.2f}, {verdict}"
    for kind, picture in (
        ("panels", five_panels(visible, infrared, before, after, mask, caption)),
        ("edges", edge_panel(visible, before, after, mask)),
    ):
        with atomic_write(folder / kind / f"{name}.png") as temporary:
            picture.save(temporary)


def _add_registration(parser: argparse.ArgumentParser) -> None:
    """How pairs are registered."""
    parser.add_argument(
        "--method",
        type=values.choice(REGISTRATION),
        metavar="METHOD",
        default="auto",
        help=f"how to register: {choices(REGISTRATION)}; or module:Class of one's own (default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        choices=("homography", "affine"),
        help="transform of the methods refine, orientation and edges: homography, for the plane that a scene far away "
        "is (default), or affine",
    )
    parser.add_argument(
        "--masks",
        action="store_true",
        help="with --method affine or voxelmorph: find the transform on masks of the people in both images",
    )
    parser.add_argument("--weights", metavar="PATH", help="of the method's network (default: inside the package)")
    options.add_settings(parser)


def _load_registrar(args: argparse.Namespace) -> Registrar:
    """The registrar of ``--method`` with its options.

    Raises:
        InputError: weights that are not there.
    """
    from ldfusion.registration import load_registrar

    given = options.settings(args, REGISTRATION, "registration method")
    if given.pop("masks", False):
        given["inputs"] = ("masks",)
    if "device" in given:
        given["device"] = options.choose_device(args.device)
    return load_registrar(args.method, **given)

"""Register pairs: bring each infrared image onto the pixel grid of its visible image.

VISIBLE and INFRARED are two files, or two folders whose files are matched by name without suffix. For each pair NAME:
  OUT/registered/NAME.png   the infrared image as it came, with all its channels and bits, warped; 0 where it has no
                            data (NAME.tiff for what a PNG cannot hold: float, 32 bits, grey with alpha)
  OUT/valid/NAME.png        255 where the infrared image covers the visible one, 0 elsewhere
  OUT/transforms/NAME.json  matrix (3x3, infrared pixels -> visible pixels, pixel centres at integers), model, score
                            (0 to 1), trusted
  OUT/flows/NAME.npy        with --flow: (2, H, W) float32; visible pixel x shows infrared pixel x + flow(x), (x, y)
  OUT/panels/NAME.png       infrared, visible, warped, difference before, difference after
  OUT/edges/NAME.png        edges of both images over each other, before and after
A pair that cannot be registered, because the images share no content for instance, is said so: its infrared image is
only resized, "trusted" is false, and the exit code is 1. Results that are there are kept unless --overwrite is given.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldfusion.commands import batches, options, values
from ldfusion.commands.terminal import say
from ldfusion.jobs import Job, Result, Work, is_main
from ldfusion.registry import REGISTRATION, choices

if TYPE_CHECKING:
    from torch import Tensor

    from ldfusion.io.pairing import NamedPair
    from ldfusion.registration import Registrar, Registration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_pair(parser)
    options.add_output(parser)
    _add_registration(parser)
    parser.add_argument("--flow", action="store_true", help="also write the dense displacement")
    options.add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Register all pairs; 0 when every pair is registered, 1 when some could not be."""
    from ldfusion.io.files import check_output_folder

    options.check_method(args, REGISTRATION, "registration method")
    pairs = batches.read_pairs(args)
    check_output_folder(args.output)
    options.choose_device(args.device)

    def outputs(name: str) -> list[Path]:
        """With the suffix of what is there, which only the infrared file itself could tell."""
        suffix = ".tiff" if (args.output / result_files(name, False, ".tiff")[0]).exists() else ".png"
        return result_files(name, args.flow, suffix)

    job = Job(pairs, root=args.output, outputs=outputs, overwrite=args.overwrite)
    tally = job.run(lambda: _load(args))
    flawed = [f"{tally.flawed} could not be registered"] if tally.flawed else []
    if is_main():
        say(f"{tally.words(f'{tally.done - tally.flawed} registered', *flawed)}; results in {args.output}")
    return tally.exit_code


def result_files(name: str, flow: bool, suffix: str = ".png") -> list[Path]:
    """The files of one pair, relative to the output folder; ``suffix`` is the warped image's."""
    pictures = [Path(folder, f"{name}.png") for folder in ("valid", "panels", "edges")]
    dense = [Path("flows", f"{name}.npy")] if flow else []
    return [Path("registered", f"{name}{suffix}"), *pictures, Path("transforms", f"{name}.json"), *dense]


def _load(args: argparse.Namespace) -> Work[NamedPair]:
    """What registers one pair."""
    from ldfusion.io.image import read_infrared, read_raw, read_visible, stored_suffix
    from ldfusion.registration.methods import settle

    registrar = _load_registrar(args)

    def work(name: str, files: NamedPair) -> Result:
        _, visible_file, infrared_file = files
        visible, infrared = read_visible(visible_file)[0][None], read_infrared(infrared_file)[None]
        found = settle(registrar(visible, infrared), visible, infrared)
        if not found.trusted:
            say(
                f"error: {name}: cannot be registered (score {found.score:.2f}): no transform brings the content of "
                f"{infrared_file} onto {visible_file}; the infrared image is only resized"
            )
        raw = read_raw(infrared_file)
        return Result(
            lambda folder: _write(folder, name, visible, infrared, raw, found, args.flow),
            result_files(name, args.flow, stored_suffix(raw)),
            flawed=not found.trusted,
        )

    return work


def _write(
    folder: Path, name: str, visible: Tensor, infrared: Tensor, raw: Any, found: Registration, flow: bool
) -> None:
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
    write_stored(folder / "registered" / f"{name}{stored_suffix(raw)}", align_stored(raw, found, size))
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

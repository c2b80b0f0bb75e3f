"""The fused images behind the rows of a table: made here by a method and kept, or given as a folder.

Made images lie as ``FOLDER/METHOD/dataset_STEM.png`` and are not made again; a note of the weights beside them keeps
images of other weights from being taken for these.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from ldfusion import weights as embedded
from ldfusion.benchmarks.base import add_data
from ldfusion.data.catalog import PairFiles
from ldfusion.errors import InputError
from ldfusion.fusion.methods import DEFAULT, load_method
from ldfusion.io.files import atomic_write, check_output_folder, images_by_stem
from ldfusion.io.image import write_png
from ldfusion.io.notices import notice
from ldfusion.loading import load_pair
from ldfusion.registry import FUSION, find

WEIGHTS_FILE = "weights.txt"

ROWS = ("mean", "maximum", "maximum-stretched", "laplacian", "zero-learning", "seafusion", "ldfusion")
"""The fusion methods that are compared."""

Images = dict[str, Path]
"""Name of a pair -> file of its fused image; pairs may be missing."""


def image_rows(
    pairs: Sequence[PairFiles],
    methods: Sequence[str],
    given: Mapping[str, Path],
    folder: Path,
    weights: str | None = None,
) -> dict[str, Images]:
    """The images of every row.

    Args:
        pairs: to fuse.
        methods: names of `ldfusion.registry.FUSION`.
        given: name of a further row -> folder of its images, see `given_images`.
        folder: where images that are made go, and older ones are looked for.
        weights: pipeline folder or hub id of the method ``ldfusion``; None: the embedded one.

    Raises:
        InputError: an unknown method, two rows of one name, or a folder that cannot be used.
    """
    for name in methods:
        find(name, FUSION, "fusion method")
    names = [*methods, *given]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two rows are called '{twice}'; name a folder with NAME=DIR")
    if not names:
        raise InputError("no row: give --methods or --fused")
    found = {name: given_images(path, pairs) for name, path in given.items()}
    check_output_folder(folder)
    return {name: made_images(name, pairs, folder / name, weights) for name in methods} | found


def given_images(folder: Path, pairs: Sequence[PairFiles]) -> Images:
    """The images of a folder that belong to pairs: named ``dataset_STEM`` or, where there is none, ``STEM``.

    Raises:
        InputError: no such folder, or not one image of these pairs.
    """
    files = images_by_stem(folder)
    found = {}
    for pair in pairs:
        file = files.get(pair.flat_name) or files.get(pair.stem.replace("/", "_"))
        if file is not None:
            found[pair.name] = file
    if not found:
        raise InputError(
            f"{folder}: no image of these pairs; names are like {pairs[0].flat_name}.png or the stem alone"
        )
    return found


def made_images(method: str, pairs: Sequence[PairFiles], folder: Path, weights: str | None = None) -> Images:
    """The images of a method in its folder, those that are missing made.

    Raises:
        InputError: the folder holds images of other weights.
    """
    images = {pair.name: folder / f"{pair.flat_name}.png" for pair in pairs}
    missing = [pair for pair in pairs if not images[pair.name].is_file()]
    _check_weights(method, folder, weights)
    if len(missing) < len(pairs):
        notice(f"{method}: {len(pairs) - len(missing)} of {len(pairs)} images were there already, in {folder}")
    if missing:
        loaded = load_method(method, weights=weights if method == DEFAULT else None)
        for pair in tqdm(missing, desc=method, unit="pair", disable=None):
            read = load_pair(pair.visible, pair.infrared, pair.name)
            write_png(images[pair.name], loaded.fuse(read.visible, read.infrared)[0])
    return images


def _check_weights(method: str, folder: Path, weights: str | None) -> None:
    """Compare the note in the folder with the weights of today, or write it where there is no image yet."""
    own = {DEFAULT: Path(weights or embedded.FOLDER), "seafusion": embedded.FOLDER / "seafusion"}
    own |= dict.fromkeys(("realtime", "realtime-tiny"), embedded.FOLDER / "realtime")
    if method not in own:
        return
    note = f"{embedded.digest(own[method])}\n" if own[method].is_dir() else f"{weights}\n"
    file = folder / WEIGHTS_FILE
    if next(folder.glob("*.png"), None) is None:
        with atomic_write(file) as temporary:
            temporary.write_text(note, encoding="utf-8")
    elif not file.is_file() or file.read_text(encoding="utf-8") != note:
        raise InputError(f"{folder} holds images of other weights of '{method}'; remove them or give another folder")


def add_rows(parser: argparse.ArgumentParser) -> None:
    """Which images a table is made of."""
    add_data(parser)
    parser.add_argument("--methods", nargs="*", default=ROWS, help="fusion methods (default: %(default)s)")
    parser.add_argument(
        "--fused",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="images made elsewhere, STEM.png or dataset_STEM.png; again for every further row",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="keep the methods' images, as DIR/METHOD/dataset_STEM.png, and use them",
    )


@contextmanager
def images_folder(kept: Path | None) -> Iterator[Path]:
    """The folder of the images: the given one, or one that goes with the run."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)

"""Writing the results of one image or pair: all of them or none, and never over older ones unless asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ldfusion.errors import InputError, WorkError

PREVIEW = "_color"


def depth_files(name: str, folder: Path = Path()) -> list[Path]:
    """What `depth.files.write_depth` makes of one map, below ``folder``."""
    return [folder / f"{name}{ending}" for ending in (".png", ".npy", f"{PREVIEW}.png")]


def check_names(names: Iterable[str]) -> None:
    """Refuse names whose results would fall on each other.

    Raises:
        InputError: ``a`` and ``a_color`` together: ``a_color.png`` is the depth preview of the first.
    """
    known = set(names)
    for name in sorted(known):
        if name + PREVIEW in known:
            raise InputError(
                f"'{name}' and '{name}{PREVIEW}' cannot go into one folder: {name}{PREVIEW}.png would be the depth "
                "preview of the first and the depth of the second; rename one of them or give another output folder"
            )


def add_results(root: Path, name: str, files: Sequence[Path], make: Callable[[Path], object], overwrite: bool) -> None:
    """Make the files of one name in a hidden folder beside their places, then move them there.

    Args:
        root: the output folder.
        name: of the image or pair.
        files: where its results go, relative to ``root``.
        make: writes all of ``files`` below the folder that it is given; their subfolders exist there.
        overwrite: replace files that exist; otherwise they are kept and only the missing ones are added.

    Raises:
        WorkError: something could not be written, for instance because the disk is full; nothing is left behind.
    """
    # Inside the root, since os.replace cannot cross file systems. The fixed name lets a later run of the same name
    # clear what a killed one has left.
    staging = root / f".{name}.partial"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for folder in {file.parent for file in files}:
            (staging / folder).mkdir(parents=True, exist_ok=True)
            (root / folder).mkdir(parents=True, exist_ok=True)
        make(staging)
        for file in files:
            if overwrite or not (root / file).exists():
                os.replace(staging / file, root / file)
    except OSError as error:
        line = f"cannot write {error.filename or root}: {error.strerror or error}"
        raise WorkError(line.replace(str(staging), str(root))) from error
    except WorkError as error:
        raise WorkError(str(error).replace(str(staging), str(root))) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)

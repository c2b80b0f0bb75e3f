"""Work through many files: one that is bad costs one line, the others are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ldfusion.commands.terminal import progress, say
from ldfusion.errors import InputError, WorkError

if TYPE_CHECKING:
    from ldfusion.io.pairing import PairList

Item = TypeVar("Item")


def report_unmatched(pairs: PairList) -> None:
    """Say which images of two folders have no partner; they are left out."""
    for line in pairs.report():
        say(f"warning: {line}")


def named_images(arguments: Sequence[Path]) -> tuple[dict[str, Path], int]:
    """The image files that a command's arguments name, files or folders of them, by stem.

    Returns:
        Stem -> file, and how many arguments are not there (one line is printed for each).

    Raises:
        InputError: none is there, a folder without images, or two images of one stem.
    """
    from ldfusion.io.files import images_by_stem

    missing = [path for path in arguments if not path.exists()]
    if len(missing) == len(arguments):
        raise InputError(f"{missing[0]}: no such file or folder")
    for path in missing:
        say(f"error: {path}: no such file or folder")
    found: dict[str, Path] = {}
    for path in arguments:
        if path in missing:
            continue
        for name, file in (images_by_stem(path) if path.is_dir() else {path.stem: path}).items():
            if name in found:
                raise InputError(f"{found[name]} and {file} have the same name; give their results different folders")
            found[name] = file
    return found, len(missing)


def for_each(items: Sequence[Item], work: Callable[[Item], None], unit: str, shown: bool = True) -> int:
    """Do ``work`` for each item and return how many could not be done.

    Unusable input (`InputError`) and an item too large for the memory fail alone. After a `WorkError`, a full disk for
    instance, the rest would fail in the same way and is not tried.

    Args:
        items: what to work on.
        work: called once an item.
        unit: what an item is called in the progress bar.
        shown: False draws no bar (processes other than the main one).
    """
    from torch import OutOfMemoryError

    failed = 0
    for done, item in enumerate(progress(items, unit, shown)):
        try:
            work(item)
        except InputError as error:
            say(f"error: {error}")
            failed += 1
        except (MemoryError, OutOfMemoryError) as error:
            say(f"error: out of memory at {unit} {item}: {' '.join(str(error).split())}")
            failed += 1
        except WorkError as error:
            left = len(items) - done
            say(f"error: {error}" + (f"; stopped, {left} {unit}s are not done" if left > 1 else ""))
            return failed + left
    return failed

"""Work through many files: one that is bad costs one line, the others are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ldfusion.commands.terminal import progress, say
from ldfusion.errors import InputError, WorkError

if TYPE_CHECKING:
    from ldfusion.io.files import PairList

Item = TypeVar("Item")


def report_unmatched(pairs: PairList) -> None:
    """Say which images of two folders have no partner; they are left out."""
    for line in pairs.report():
        say(f"warning: {line}")


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

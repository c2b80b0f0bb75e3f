"""What the commands say: messages, errors and the progress bar, all on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def say(message: str) -> None:
    """Print one line on standard error, above the progress bar when one is drawn."""
    line = f"ldfusion: {message}"
    # tqdm is asked only when something has imported it: a usage error must not wait for it.
    bar = sys.modules.get("tqdm")
    if bar is None:
        print(line, file=sys.stderr)
    else:
        bar.tqdm.write(line, file=sys.stderr)


def progress(items: Iterable[Item], unit: str, shown: bool = True, total: int | None = None) -> Iterable[Item]:
    """Iterate with a bar that shows rate and remaining time; nothing is drawn unless a person is watching.

    Args:
        total: how many items there will be, where they cannot be counted beforehand.
    """
    from tqdm import tqdm

    return tqdm(items, unit=unit, total=total, dynamic_ncols=True, disable=not (shown and sys.stderr.isatty()))

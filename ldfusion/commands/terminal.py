"""What the commands say: messages, errors and the progress bar, all on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
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


def progress(items: Sequence[Item], unit: str, shown: bool = True) -> Iterable[Item]:
    """Iterate with a bar that shows rate and remaining time; nothing is drawn unless a person is watching."""
    from tqdm import tqdm

    return tqdm(items, unit=unit, dynamic_ncols=True, disable=not (shown and sys.stderr.isatty()))

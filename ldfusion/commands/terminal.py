"""What the commands say: messages and errors, all on standard error."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print one line on standard error, above the progress bar when one is drawn."""
    line = f"ldfusion: {message}"
    # tqdm is asked only when something has imported it: a usage error must not wait for it.
    bar = sys.modules.get("tqdm")
    if bar is None:
        print(line, file=sys.stderr)
    else:
        bar.tqdm.write(line, file=sys.stderr)

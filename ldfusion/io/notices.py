"""Remarks about the user's images, each told once: they matter at first sight and are noise in the second epoch."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_logger = logging.getLogger("ldfusion.io")
_told: set[str] = set()
_quiet = ContextVar("quiet", default=False)


def notice(message: str) -> None:
    """Log ``message`` as a warning of "ldfusion.io", unless this process has logged the same words before.

    Without any logging set up, Python prints it as a bare line on stderr.
    """
    if message not in _told and not _quiet.get():
        _told.add(message)
        _logger.warning("%s", message)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No remarks inside the block: of frames of one video, the first of which has said it."""
    before = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(before)

"""Remarks about the user's images, each told once: they matter at first sight and are noise in the second epoch."""

from __future__ import annotations

import logging

_logger = logging.getLogger("ldfusion.io")
_told: set[str] = set()


def notice(message: str) -> None:
    """Log ``message`` as a warning of "ldfusion.io", unless this process has logged the same words before.

    Without any logging set up, Python prints it as a bare line on stderr.
    """
    if message not in _told:
        _told.add(message)
        _logger.warning("%s", message)

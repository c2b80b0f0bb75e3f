"""The two errors that ldfusion raises on purpose, each with the exit code that the command line returns for it.

Everything else that is raised is a defect of the program and keeps its traceback.
"""

from __future__ import annotations


class LDFusionError(Exception):
    """Base of the errors whose message is written for the user: one line, without a traceback.

    Args:
        message: what is wrong, in which file, and what would be right. Line breaks are folded into spaces.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class InputError(LDFusionError):
    """What the user gave cannot be used: a wrong option, a missing file, an image that does not decode.

    The code is 2 (usage) unless set otherwise; a batch command that drops one bad pair and goes on returns 1 instead.
    """

    exit_code = 2


class WorkError(LDFusionError):
    """The input was usable but the work could not be finished, for instance because the disk is full."""

    exit_code = 1

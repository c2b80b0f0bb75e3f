"""Values of command line options: each reader takes the text and says in one line what would be right."""

from __future__ import annotations

import argparse

from ldfusion.errors import InputError


def timesteps(text: str) -> list[int]:
    """Parse ``5,50,100``."""
    try:
        steps = [int(word) for word in text.split(",")]
    except ValueError:
        steps = []
    if not steps or min(steps) < 0:
        raise argparse.ArgumentTypeError(
            f"'{text}': expected whole numbers from 0 up with commas between, like 5,50,100"
        )
    return steps


def seed(text: str) -> int:
    """Parse a seed: what a torch.Generator accepts."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"'{text}': expected a whole number from 0 up")
    return value


def prompt(text: str) -> str:
    """Accept a sentence, refuse what the text encoder could not read."""
    from ldfusion.language.tokenizer import check_prompt

    try:
        return check_prompt(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def alpha(text: str) -> float:
    """Parse a weight."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}': expected a weight from 0 to 1")
    return value


def seconds(text: str) -> float:
    """Parse a time from 0 up."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}': expected seconds from 0 up")
    return value


def duration(text: str) -> float:
    """Parse a time above 0."""
    value = seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"'{text}': expected more than 0 seconds")
    return value


def angle(text: str) -> float:
    """Parse a field of view in degrees."""
    try:
        degrees = float(text)
    except ValueError:
        degrees = 0.0
    if not 0 < degrees < 180:
        raise argparse.ArgumentTypeError(f"'{text}': expected an angle between 0 and 180 degrees")
    return degrees

"""Values of command line options: each reader takes the text and says in one line what would be right."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any, TypeVar

from ldfusion.errors import InputError

Number = TypeVar("Number", int, float)


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
    return _accept(text, value, 0 <= value < 2**63, "a whole number from 0 up")


def page(text: str) -> int:
    """Parse the number of a page."""
    value = int(text) if text.isdecimal() else 0
    return _accept(text, value, value >= 1, "a whole number from 1 up")


def choice(names: Collection[str]) -> Callable[[str], str]:
    """Accept one of the names, or ``module:Class``."""

    def parse(text: str) -> str:
        if text in names or ":" in text:
            return text
        raise argparse.ArgumentTypeError(f"invalid choice: '{text}' (choose from {', '.join(names)})")

    return parse


def setting(text: str) -> tuple[str, Any]:
    """Parse ``key=value``; the value as YAML has it: numbers, true, [lists], words."""
    from yaml import YAMLError, safe_load

    key, separator, value = text.partition("=")
    try:
        if separator and key.isidentifier():
            return key, safe_load(value)
    except YAMLError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}': expected key=value, like levels=3")


def prompt(text: str) -> str:
    """Accept a sentence, refuse what the text encoder could not read."""
    from ldfusion.language.tokenizer import check_prompt

    try:
        return check_prompt(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def alpha(text: str) -> float:
    """Parse a weight."""
    value = _number(text)
    return _accept(text, value, 0 <= value <= 1, "a weight from 0 to 1")


def seconds(text: str) -> float:
    """Parse a time from 0 up."""
    value = _number(text)
    return _accept(text, value, 0 <= value < math.inf, "seconds from 0 up")


def duration(text: str) -> float:
    """Parse a time above 0."""
    value = seconds(text)
    return _accept(text, value, value > 0, "more than 0 seconds")


def rate(text: str) -> Fraction:
    """Parse frames a second, like 25, 8.6 or 30000/1001."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not 0 < value <= 10_000:
        raise argparse.ArgumentTypeError(f"'{text}': expected frames a second, like 25, 8.6 or 30000/1001")
    return value


def angle(text: str) -> float:
    """Parse a field of view in degrees."""
    value = _number(text)
    return _accept(text, value, 0 < value < 180, "an angle between 0 and 180 degrees")


def _number(text: str) -> float:
    """A number, NaN where the text is none: no bound holds for it."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _accept(text: str, value: Number, fits: bool, expected: str) -> Number:
    """The value where it fits; what was expected instead where it does not."""
    if not fits:
        raise argparse.ArgumentTypeError(f"'{text}': expected {expected}")
    return value

"""Short prompts as a user would type them, drawn from templates to join the captions in the text tower's training.

Captions are long descriptions; prompts are commands and fragments ("highlight the cyclists", "a car at night"), in
words that few captions hold. What a prompt names is read out of it as out of any sentence (`ldfusion.language.labels`).
"""

from __future__ import annotations

import numpy as np

from captioning.lexicon import CLASSES, TARGETS, class_phrases, plural

COMMANDS = (
    "highlight {}",
    "show me {}",
    "focus on {}",
    "bring out {}",
    "emphasise {}",
    "make {} stand out",
    "make {} clear and bright",
    "enhance {}",
    "find {}",
    "look for {}",
    "where is {}?",
    "I want to see {}",
    "keep {} visible",
    "pay attention to {}",
    "a photo of {}",
    "an image with {}",
    "a thermal image of {}",
    "fused image of {}",
    "there is {}",
    "{} should be easy to see",
    "detect {}",
    "{}",
    "{}",
    "{}",
)
ARTICLES = ("the ", "the ", "a ", "every ", "all ", "")
PLACES = (
    "on the left",
    "on the right",
    "in the center",
    "in the middle",
    "at the left edge",
    "at the right edge",
    "near the camera",
    "close to the camera",
    "in the foreground",
    "at mid distance",
    "far away",
    "in the background",
)
LIGHT_ENDINGS = {
    "day": ("by day", "in daylight", "in the daytime", "on a sunny day"),
    "dusk": ("at dusk", "at dawn", "in the twilight"),
    "night": ("at night", "in the dark", "by night", "on a dark street at night"),
    "smoke": ("in smoke", "behind smoke", "in a smoky scene"),
    "fog": ("in fog", "in the mist", "in foggy weather"),
}
NEUTRAL = (
    "fuse the two images",
    "combine the infrared and the visible image",
    "this is an infrared and visible image fusion task",
    "keep the colours natural",
    "keep the texture of the visible image",
    "keep the thermal contrast",
    "show warm things clearly",
    "more contrast please",
    "sharp details everywhere",
    "a clear picture",
    "remove the noise",
    "hello",
)
"""Prompts that name nothing."""
PHRASES: dict[str, tuple[str, ...]] = {
    name: tuple(sorted(phrase for phrase, of in class_phrases().items() if of == name)) for name in CLASSES
}
"""Words and phrases for each class, singular and plural."""


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _name(rng: np.random.Generator) -> str:
    """A class in words: half of the classes are targets, half of the words the class's own name."""
    chosen = _pick(rng, TARGETS if rng.random() < 0.5 else CLASSES)
    return _pick(rng, ARTICLES) + _pick(rng, (chosen, plural(chosen)) if rng.random() < 0.5 else PHRASES[chosen])


def draw_prompt(rng: np.random.Generator) -> str:
    """One prompt.

    Of ten, one names nothing and one only the light; the others name one class, in a third of the cases two, and every
    second one adds a place or a light.
    """
    kind = rng.random()
    if kind < 0.1:
        return _pick(rng, NEUTRAL)
    light = _pick(rng, LIGHT_ENDINGS[_pick(rng, tuple(LIGHT_ENDINGS))])
    if kind < 0.2:
        return f"a scene {light}"
    names = [_name(rng) for _ in range(1 + int(rng.random() < 1 / 3))]
    detail = rng.random()
    if detail < 0.25:
        names[0] += f" {_pick(rng, PLACES)}"
    subject = " and ".join(names)
    if detail > 0.75:
        subject += f" {light}"
    return _pick(rng, COMMANDS).format(subject)

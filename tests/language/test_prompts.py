from __future__ import annotations

import numpy as np
import pytest

from captioning.lexicon import CLASSES, HAZES
from captioning.lexicon import LIGHTS as CAPTION_LIGHTS
from ldfusion.language.labels import named_in
from ldfusion.language.prompts import COMMANDS, LIGHT_ENDINGS, NEUTRAL, PHRASES, PLACES, draw_prompt


def test_the_same_seed_draws_the_same_prompt() -> None:
    first = [draw_prompt(np.random.default_rng(seed)) for seed in range(20)]
    assert first == [draw_prompt(np.random.default_rng(seed)) for seed in range(20)]
    assert len(set(first)) > 15


def test_prompts_name_every_class_and_light_and_sometimes_nothing() -> None:
    named = [named_in(draw_prompt(np.random.default_rng(seed))) for seed in range(1500)]
    assert frozenset().union(*named) >= {*CLASSES, *CAPTION_LIGHTS, *HAZES}
    nothing = sum(not labels for labels in named) / len(named)
    assert 0.05 < nothing < 0.15
    assert 0.6 < sum(bool(labels & set(CLASSES)) for labels in named) / len(named) < 0.9


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_adds_nothing_to_what_is_named(command: str) -> None:
    assert named_in(command.format("the car")) == {"car"}


def test_the_pieces_mean_what_they_are_filed_under() -> None:
    assert PHRASES.keys() == set(CLASSES)
    for light, endings in LIGHT_ENDINGS.items():
        assert all(light in named_in(f"a car {ending}") for ending in endings)
    for place in PLACES:
        assert sum(label.startswith("target") for label in named_in(f"a car {place}")) == 1, place
    assert not any(named_in(prompt) for prompt in NEUTRAL)

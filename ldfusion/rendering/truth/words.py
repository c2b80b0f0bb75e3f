"""Captions of a rendered pair, written from its facts: the scene, the targets, and what each sensor adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ldfusion.rendering.truth.facts import TARGETS

Fact = dict[str, str]

OPENINGS = {
    "day": ("By day", "In daylight", "In the daytime"),
    "dusk": ("At dusk", "In the last light of dusk"),
    "night": ("At night", "In the dark of night"),
    "smoke": ("In drifting smoke", "Through thick smoke"),
    "fog": ("In fog", "In thick fog"),
}
AT = {"left": "on the left", "center": "in the center", "right": "on the right"}
FAR = {"near": "near", "mid": "at mid distance", "far": "far away"}
COUNTS = {2: "two", 3: "three", 4: "four"}
PLURALS = {"person": "people", "bus": "buses", "bench": "benches", "shelf": "shelves", "box": "boxes"}
GROUND = ("road", "rug")
SHOWN = {
    ("street", "day"): ("colors, paint and texture", "bricks, markings and foliage in color"),
    ("street", "dusk"): (
        "lamps, lit windows and the last color of the sky",
        "lit windows and outlines against the sky",
    ),
    ("street", "night"): ("lamps, lit windows and what the headlights reach", "little more than lamps and lit windows"),
    ("street", "smoke"): ("only what the smoke leaves open nearby", "gray veils that hide the distance"),
    ("street", "fog"): ("the near ground and pale outlines behind it", "what stands close before the fog closes"),
    ("room", "day"): ("furniture, floor and the light of the windows in color",),
    ("room", "dusk"): ("the lamp light and the colors of the furniture",),
    ("room", "night"): ("faint outlines and whatever is lit",),
    ("room", "smoke"): ("only what the smoke leaves open nearby",),
    ("room", "fog"): ("pale outlines of walls and furniture",),
}
"""What the visible image shows, in words, by place and light."""


@dataclass(frozen=True)
class Group:
    """Objects of one name at one place and distance."""

    fact: Fact
    count: int

    @property
    def noun(self) -> str:
        """The name with its article or number."""
        name = self.fact["name"]
        if self.count == 1:
            return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
        return f"{COUNTS.get(self.count, 'several')} {PLURALS.get(name, f'{name}s')}"

    @property
    def verb(self) -> str:
        """is or are"""
        return "is" if self.count == 1 else "are"

    @property
    def where(self) -> str:
        """Distance and position."""
        return f"{FAR[self.fact['distance']]} {AT[self.fact['position']]}"


def captions(facts: dict[str, Any], place: str, rng: np.random.Generator) -> list[str]:
    """Three sentences in the order scene, targets, sensors; the first one names the nearest target, its place and
    distance.
    """
    objects: list[Fact] = facts["objects"]
    targets = _groups([fact for fact in objects if fact["name"] in TARGETS])
    others = _groups([fact for fact in objects if fact["name"] not in (*TARGETS, *GROUND)])
    opening, closest = (
        str(rng.choice(OPENINGS[facts["light"]])),
        str(rng.choice(["The closest target", "The nearest target"])),
    )
    shown = str(rng.choice(SHOWN[place, facts["light"]]))
    where = f"{'in' if place == 'room' else 'on'} {'an' if facts['scene'][0] in 'aeiou' else 'a'} {facts['scene']}"
    return [_scene(opening, where, targets, others), _targets(closest, targets, others), _sensors(shown, objects)]


def _groups(facts: Sequence[Fact]) -> list[Group]:
    found: dict[tuple[str, str, str], list[Fact]] = {}
    for fact in facts:
        found.setdefault((fact["name"], fact["position"], fact["distance"]), []).append(fact)
    return [Group(group[0], len(group)) for group in found.values()]


def _scene(opening: str, where: str, targets: Sequence[Group], others: Sequence[Group]) -> str:
    told = [*targets[:2], *others[: 4 - len(targets[:2])]]
    if not told:
        return f"{opening} nothing stands out {where}, from near to far."
    first, *rest = told
    text = f"{opening} {first.noun} {first.verb} {first.where} {where}"
    if rest:
        text += f", with {_list([f'{group.noun} {group.where}' for group in rest])}"
    return f"{text}."


def _targets(closest: str, targets: Sequence[Group], others: Sequence[Group]) -> str:
    if not targets:
        thing = f"; the first thing in view is {others[0].noun} {AT[others[0].fact['position']]}" if others else ""
        return f"No person and no vehicle is in view{thing}."
    first, *rest = targets
    warmth = "" if first.fact["thermal"] == "neutral" else f", {first.fact['thermal']} in the infrared"
    plural = "s" if first.count > 1 else ""
    where = f"{AT[first.fact['position']]}, {FAR[first.fact['distance']]}"
    text = f"{closest}{plural} {first.verb} {first.noun} {where}{warmth}."
    if rest:
        text += f" Farther back {rest[0].verb} {_list([f'{group.noun} {group.where}' for group in rest[:3]])}."
    return text


def _sensors(shown: str, facts: Sequence[Fact]) -> str:
    objects = [fact for fact in facts if fact["name"] not in GROUND]
    hidden = [fact for fact in objects if fact["visible_in"] == "infrared"]
    warm = [fact for fact in objects if fact["name"] in TARGETS and fact["thermal"] == "warm"]
    told = {_the(fact) for fact in hidden}
    cold = [fact for fact in objects if fact["visible_in"] == "visible" and _the(fact) not in told]
    text = f"The visible image shows {shown}, while "
    if hidden:
        text += f"only the infrared shows {_list([_the(fact) for fact in hidden[:2]])}"
    elif warm:
        text += f"the infrared lifts {_list([_the(fact, 'warm ') for fact in warm[:2]])} from the background"
    else:
        text += "the infrared shows the temperatures of ground and walls"
    if cold:
        text += f" but loses {_the(cold[0])}"
    if objects and objects[0]["name"] != objects[-1]["name"]:
        text += f", and depth steps from the {objects[0]['name']} back to the {objects[-1]['name']}"
    return f"{text}."


def _the(fact: Fact, trait: str = "") -> str:
    return f"the {trait}{fact['name']} {AT[fact['position']]}"


def _list(parts: Sequence[str]) -> str:
    unique = list(dict.fromkeys(parts))
    if len(unique) < 2:
        return "".join(unique)
    return f"{', '.join(unique[:-1])} and {unique[-1]}"

"""Scene facts and sentences: write a report from facts, read facts out of any sentence, mirror both.

Facts are a mapping with `light` (day, dusk or night), optionally `scene`, and `objects`: a list of mappings with
`name`, `position` (left, center, right), `distance` (near, mid, far), `visible_in` (both, infrared, visible) and
`thermal` (warm, neutral, cool), nearest object first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from captioning.lexicon import (
    DISTANCE_PHRASES,
    DISTANCES,
    FIRM_LIGHT,
    GROUND,
    LIGHT_PHRASES,
    NEGATIONS,
    PEOPLE,
    POSITION_PHRASES,
    SURROUNDINGS,
    TARGETS,
    VEHICLES,
    class_of,
    class_phrases,
    plural,
)
from captioning.mirror import mirror

__all__ = [
    "Facts", "Mention", "Object", "ReadFacts", "classes_in", "mirror", "mirror_facts", "most_salient", "read_facts",
    "write_report",
]  # fmt: skip

Facts = Mapping[str, Any]
Object = Mapping[str, Any]

OPENINGS = {"day": "By day", "dusk": "At dusk", "night": "At night", "smoke": "In smoke", "fog": "In fog"}
AT_DISTANCE = {"near": "near", "mid": "at mid distance", "far": "far away"}
AT_POSITION = {"left": "on the left", "center": "in the center", "right": "on the right"}
ONLY_IN = {"infrared": "seen only in the infrared", "visible": "seen only in the visible image"}


@dataclass(frozen=True)
class Mention:
    """One object a sentence names; `position` or `distance` is None where the sentence does not tell."""

    name: str
    position: str | None = None
    distance: str | None = None


@dataclass(frozen=True)
class ReadFacts:
    """What a sentence says: its light, the objects in their order, and the main target (see `most_salient`)."""

    light: str | None
    mentions: tuple[Mention, ...]
    target: Mention | None

    @property
    def classes(self) -> frozenset[str]:
        """Classes the sentence names."""
        return frozenset(mention.name for mention in self.mentions)


def classes_in(facts: Facts) -> frozenset[str]:
    """Classes of `captioning.lexicon.CLASSES` present in the facts."""
    return frozenset(name for name in map(_class, facts["objects"]) if name is not None)


def most_salient(facts: Facts) -> Object | None:
    """The main target: the nearest person, else the nearest vehicle or bike, else the nearest other object, if any.

    Among the others, those of a known class come before the ground, and the ground before names of no class.
    """
    # A stable sort: the given order decides among equals.
    objects = sorted(facts["objects"], key=lambda thing: _rank(thing.get("distance")))
    for wanted in (PEOPLE, VEHICLES, SURROUNDINGS, GROUND):
        for thing in objects:
            if _class(thing) in wanted:
                return thing
    return objects[0] if objects else None


def write_report(facts: Facts, max_objects: int = 4) -> str:
    """One sentence of the light and the `max_objects` most telling groups of objects, each with place and distance.

    The main target leads; other targets follow, then surroundings, each nearest first. A class not yet named is chosen
    before a second group of one that is, and one place is kept for the surroundings. Equal objects are counted ("two
    people"). Names that belong to no known class are left out.
    """
    groups = _chosen_groups(facts, max_objects)
    opening = OPENINGS.get(facts["light"], f"In {facts['light']} light")
    if not groups:
        return f"{opening}, the view is empty."
    clauses = [_clause(thing, count) for thing, count in groups]
    listed = clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])}, and {clauses[-1]}"
    return f"{opening}, {listed}."


def read_facts(text: str) -> ReadFacts:
    """Reads light, objects and main target out of any English sentence; what it denies ("no cars") is not read.

    A word of place or distance belongs to the nearest object named in its clause (the one before it among equals), or
    to the last object named before when its clause names none.
    """
    mentions: list[Mention] = []
    for clause in re.split(r"[.,;:!?]| and | while | whereas | but ", text.lower().replace("-", " ")):
        mentions = _read_clause(clause, mentions)
    present = tuple(mention for mention in mentions if mention.name)
    return ReadFacts(_read_light(text), present, _target(present))


def mirror_facts(facts: Facts) -> dict[str, Any]:
    """The facts of the mirrored image; `scene` and `captions`, where there are any, are mirrored in their words."""
    swap = {"left": "right", "right": "left"}
    mirrored = dict(facts)
    mirrored["objects"] = [
        {**thing, "position": swap.get(thing["position"], thing["position"])} for thing in facts["objects"]
    ]
    if "scene" in facts:
        mirrored["scene"] = mirror(facts["scene"])
    if "captions" in facts:
        mirrored["captions"] = [mirror(caption) for caption in facts["captions"]]
    return mirrored


# Writing


def _class(thing: Object) -> str | None:
    return class_of(thing["name"])


def _rank(distance: str | None) -> int:
    return DISTANCES.index(distance) if distance in DISTANCES else len(DISTANCES)


def _chosen_groups(facts: Facts, max_objects: int) -> list[tuple[dict[str, Any], int]]:
    """Groups of alike objects, chosen and ordered for `write_report`: (object with its class as name, count).

    Alike objects share class, position and distance.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for thing in sorted(facts["objects"], key=lambda thing: _rank(thing.get("distance"))):
        name = _class(thing)
        if name is not None:
            groups.setdefault((name, thing["position"], thing["distance"]), []).append({**thing, "name": name})
    firsts = set({key[0]: key for key in reversed(groups)}.values())
    main = most_salient(facts)
    leader = [key for key in groups if main is not None and key[0] == _class(main)][:1]
    targets = [key for key in groups if key[0] in TARGETS and key not in leader]
    others = [key for key in groups if key[0] in SURROUNDINGS and key not in leader]
    targets.sort(key=lambda key: key not in firsts)
    others.sort(key=lambda key: key not in firsts)
    ground = [key for key in groups if key[0] in GROUND and key not in leader]
    room = max_objects - len(leader) - (1 if others else 0)  # one place is kept for the surroundings
    rest = (targets[:room] + others + targets[room:] + ground)[: max_objects - len(leader)]
    rest.sort(key=lambda key: (key[0] not in TARGETS, _rank(key[2])))
    return [(_summary(groups[key]), len(groups[key])) for key in leader + rest]


def _summary(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One object for a group: a trait is told only where the whole group shares it."""
    shared = dict(group[0])
    for trait in ("thermal", "visible_in"):
        if len({thing.get(trait) for thing in group}) > 1:
            shared[trait] = None
    return shared


def _clause(thing: Mapping[str, Any], count: int) -> str:
    name = thing["name"] if count == 1 else plural(thing["name"])
    warmth = f"{thing['thermal']} " if thing.get("thermal") in ("warm", "cool") else ""
    number = {1: "a", 2: "two", 3: "three"}.get(count, "several")
    only = f" {ONLY_IN[thing['visible_in']]}" if thing.get("visible_in") in ONLY_IN else ""
    verb = "is" if count == 1 else "are"
    return f"{number} {warmth}{name}{only} {verb} {AT_DISTANCE[thing['distance']]} {AT_POSITION[thing['position']]}"


# Reading


@cache
def _tagger() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    tags: dict[str, tuple[str, str]] = {word: ("negation", word) for word in NEGATIONS}
    for value, phrases in POSITION_PHRASES.items():
        tags |= {phrase: ("position", value) for phrase in phrases}
    for value, phrases in DISTANCE_PHRASES.items():
        tags |= {phrase: ("distance", value) for phrase in phrases}
    tags |= {phrase: ("name", name) for phrase, name in class_phrases().items()}
    longest_first = sorted(tags, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b"), tags


@cache
def _lights() -> dict[str, str]:
    return {word: light for light, words in LIGHT_PHRASES.items() for word in words.split()}


def _read_clause(clause: str, before: list[Mention]) -> list[Mention]:
    """Adds the objects of one clause to those of the clauses before it.

    A denied object is kept without a name, so that the words of its place go to no other object.
    """
    tagged, tags = _tagger()
    found = [(hit.start(), *tags[hit.group()]) for hit in tagged.finditer(clause)]
    names = [(start, value) for start, kind, value in found if kind == "name"]
    denials = [start for start, kind, _ in found if kind == "negation"]
    traits: list[dict[str, str]] = [{} for _ in names]
    if not names and before and before[-1].name:
        names, traits = [(-1, before[-1].name)], [_told(before[-1])]
        before = before[:-1]
    for start, kind, value in found:
        if kind in ("position", "distance") and names:
            owner = min(range(len(names)), key=lambda index: (abs(names[index][0] - start), names[index][0] > start))
            traits[owner].setdefault(kind, value)
    denied: set[int] = set()
    for index, (start, _) in enumerate(names):
        follows = denials and any(_DENIED.fullmatch(clause[at:start]) for at in denials)
        joined = index - 1 in denied and _JOINED.fullmatch(clause[names[index - 1][0] : start])
        if follows or joined:
            denied.add(index)
    return [*before, *(Mention("" if i in denied else name, **traits[i]) for i, (_, name) in enumerate(names))]


_DENIED = re.compile(r"\w+( \w+){0,2} ")
"""What may stand from a negation up to the name it denies: "no ", "no parked ", "without any clear "."""
_JOINED = re.compile(r"\w+ or (\w+ )?")


def _told(mention: Mention) -> dict[str, str]:
    return {kind: value for kind in ("position", "distance") if (value := getattr(mention, kind)) is not None}


def _read_light(text: str) -> str | None:
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word in _lights()]
    firm = [word for word in words if word in FIRM_LIGHT]
    return _lights()[(firm or words)[0]] if words else None


def _target(mentions: Iterable[Mention]) -> Mention | None:
    things = [{"name": mention.name, "distance": mention.distance, "mention": mention} for mention in mentions]
    salient = most_salient({"objects": things})
    return salient["mention"] if salient else None

"""The words of the scene facts: the object classes and the English phrases that name them, their place and light.

A fact is one of a closed set of values (class, position, distance, light); many phrases map to one value. Both the
grammar that writes a report and the reader that takes facts out of any sentence (`captioning.facts`) stand on these.
"""

from __future__ import annotations

from functools import cache

LIGHTS = ("day", "dusk", "night")
"""Lights the captioner tells apart. Rendered scenes also know the two of `HAZES`."""
HAZES = ("smoke", "fog")
POSITIONS = ("left", "center", "right")
"""Thirds of the image, from left to right."""
DISTANCES = ("near", "mid", "far")
"""Coarse depth, nearest first."""

PEOPLE = ("person",)
VEHICLES = ("car", "truck", "bus", "bicycle", "motorcycle")
TARGETS = PEOPLE + VEHICLES
"""What a watcher of infrared and visible images looks for."""
GROUND = ("road",)
SURROUNDINGS = (
    "building", "tree", "hedge", "pole", "sign", "traffic light", "fence", "wall", "bollard", "cone", "monument",
)  # fmt: skip
CLASSES = (*TARGETS, *GROUND, *SURROUNDINGS)

PLURALS = {"person": "people", "bus": "buses"}
"""Irregular plurals; every other class takes an s."""

CLASS_WORDS: dict[str, str] = {
    "person": "person people persons man men woman women pedestrian walker rider cyclist biker motorcyclist figure "
    "human adult child children someone worker runner passerby skateboarder crowd",
    "car": "car sedan van minivan suv hatchback coupe taxi jeep wagon automobile vehicle",
    "truck": "truck lorry lorries pickup trailer",
    "bus": "bus buses minibus minibuses coach tram",
    "bicycle": "bicycle bike cycle tricycle",
    "motorcycle": "motorcycle motorbike scooter moped",
    "road": "road street roadway asphalt lane avenue driveway crosswalk sidewalk pavement",
    "building": "building house facade tower church shop stadium",
    "tree": "tree palm trunk foliage",
    "hedge": "hedge bush bushes shrub",
    "pole": "pole post lamp lamppost streetlight streetlamp",
    "sign": "sign signboard billboard board",
    "traffic light": "stoplight signal",
    "fence": "fence railing barrier guardrail gate rail",
    "wall": "wall",
    "bollard": "bollard",
    "cone": "cone",
    "monument": "monument statue plinth",
}
"""Single words per class, in the singular unless irregular; the plural in s is added by `class_phrases`."""

CLASS_PHRASES: dict[str, str] = {
    "street lamp": "pole",
    "lamp post": "pole",
    "street light": "pole",
    "utility pole": "pole",
    "sign post": "sign",
    "street sign": "sign",
    "traffic sign": "sign",
    "traffic light": "traffic light",
    "traffic signal": "traffic light",
    "traffic cone": "cone",
    "guard rail": "fence",
    "car stop": "bollard",
    "tree trunk": "tree",
    "palm tree": "tree",
    "police car": "car",
    "pickup truck": "truck",
    "bus stop": "sign",
    "street view": "road",
}
"""Names of several words; each also stands with its last word in the plural."""

LIGHT_PHRASES: dict[str, str] = {
    "day": "day daytime daylight sunny sunlit sunlight noon sun morning afternoon",
    "dusk": "dusk dawn twilight sunset evening",
    "night": "night nighttime nightfall midnight dark unlit darkness headlit lamplight lamplit",
    "smoke": "smoke smoky",
    "fog": "fog foggy mist misty",
}
"""Words that tell the light; an earlier word of `FIRM_LIGHT` overrules the others, since things can be dark by day."""
FIRM_LIGHT = frozenset(
    "day daytime daylight sunny dusk dawn twilight sunset night nighttime midnight smoke smoky fog foggy".split()
)

POSITION_PHRASES: dict[str, tuple[str, ...]] = {
    "left": ("left", "leftmost", "left of center", "left of centre", "lefthand"),
    "center": ("center", "centre", "central", "middle"),
    "right": ("right", "rightmost", "right of center", "right of centre", "righthand"),
}

DISTANCE_PHRASES: dict[str, tuple[str, ...]] = {
    "near": ("near", "nearest", "nearer", "nearby", "close", "closest", "closer", "far closer", "foreground"),
    "mid": (
        "mid",
        "mid distance",
        "mid range",
        "middle distance",
        "middle range",
        "midground",
        "middle ground",
        "midway",
    ),
    "far": (
        "far",
        "farther",
        "farthest",
        "further",
        "furthest",
        "distant",
        "far away",
        "away",
        "background",
        "faraway",
        "remote",
        "horizon",
    ),
}

NEGATIONS = ("no", "without", "neither", "nor")


@cache
def class_phrases() -> dict[str, str]:
    """Every phrase that names a class, singular and plural, in lower case: phrase -> class."""
    phrases = {word: name for name, words in CLASS_WORDS.items() for word in words.split()} | CLASS_PHRASES
    return {f"{phrase}s": name for phrase, name in phrases.items() if not phrase.endswith("s")} | phrases


def class_of(name: str) -> str | None:
    """The class of `CLASSES` that an object's name belongs to ("van" -> "car"), or None for a name of no class."""
    words = name.lower().replace("-", " ").replace("_", " ").split()
    for start in range(len(words)):  # "police car" is a car: the longest known ending decides
        found = class_phrases().get(" ".join(words[start:]))
        if found is not None:
            return found
    return None


def plural(name: str) -> str:
    """The plural of a class name."""
    return PLURALS.get(name, f"{name}s")

"""Report grammar, reader and mirror of scene facts."""

from __future__ import annotations

import pytest

from captioning.facts import Mention, classes_in, mirror, mirror_facts, most_salient, read_facts, write_report
from captioning.lexicon import CLASSES, class_of, plural


def thing(name: str, position: str, distance: str, visible_in: str = "both", thermal: str = "neutral") -> dict:
    return {
        "name": name,
        "position": position,
        "distance": distance,
        "visible_in": visible_in,
        "thermal": thermal,
    }


FACTS = {
    "light": "night",
    "scene": "street with a van on the left",
    "objects": [
        thing("road", "center", "near", thermal="cool"),
        thing("tree", "left", "near"),
        thing("van", "left", "mid"),
        thing("person", "right", "far", "infrared", "warm"),
        thing("person", "right", "far", "infrared", "warm"),
        thing("person", "center", "far", thermal="warm"),
        thing("newspaper box", "center", "far"),
    ],
}
REPORT = (
    "At night, two warm people seen only in the infrared are far away on the right, a car is at mid distance on the "
    "left, a warm person is far away in the center, and a tree is near on the left."
)


def test_report_names_the_main_target_first_and_counts_alike_objects() -> None:
    assert write_report(FACTS) == REPORT
    assert write_report(FACTS, max_objects=1) == (
        "At night, two warm people seen only in the infrared are far away on the right."
    )


def test_report_of_an_empty_view() -> None:
    assert write_report({"light": "day", "objects": []}) == "By day, the view is empty."
    assert write_report({"light": "fog", "objects": [thing("unicorn", "left", "near")]}) == "In fog, the view is empty."


def test_most_salient_prefers_people_then_vehicles_then_surroundings() -> None:
    assert most_salient(FACTS) is FACTS["objects"][3]
    without_people = {"light": "day", "objects": [x for x in FACTS["objects"] if x["name"] != "person"]}
    assert most_salient(without_people)["name"] == "van"
    assert most_salient({"objects": [thing("road", "center", "near"), thing("wall", "left", "far")]})["name"] == "wall"
    assert most_salient({"objects": []}) is None


def test_nearest_counts_even_when_the_list_is_not_sorted() -> None:
    objects = [thing("person", "left", "far"), thing("woman", "right", "near")]
    assert most_salient({"objects": objects})["name"] == "woman"


def test_reader_takes_the_facts_of_a_report_back() -> None:
    read = read_facts(REPORT)
    assert read.light == "night"
    assert read.classes == {"person", "car", "tree"}
    assert read.mentions[1:] == (
        Mention("car", "left", "mid"),
        Mention("person", "center", "far"),
        Mention("tree", "left", "near"),
    )
    assert read.target == Mention("person", "right", "far")


@pytest.mark.parametrize(
    ("text", "light", "mentions"),
    [
        ("At dusk a pedestrian walks close on the right.", "dusk", [("person", "right", "near")]),
        ("A dark street, headlit.", "night", [("road", None, None)]),
        ("By day a man in dark clothes waits at the left.", "day", [("person", "left", None)]),
        ("Two vans stand left of center at mid-distance.", None, [("car", "left", "mid")]),
        ("The cyclist, far away, is in the middle.", None, [("person", "center", "far")]),
        ("No parked cars; a rider is near.", None, [("person", None, "near")]),
        ("An empty road without people or bikes and a wall.", None, [("road", None, None), ("wall", None, None)]),
        ("A traffic light and a street lamp at night.", "night", [("traffic light", None, None), ("pole", None, None)]),
        ("A police car is in the middle distance.", None, [("car", None, "mid")]),
        ("", None, []),
    ],
)
def test_reader_on_free_sentences(text: str, light: str | None, mentions: list[tuple]) -> None:
    read = read_facts(text)
    assert read.light == light
    assert [(m.name, m.position, m.distance) for m in read.mentions] == mentions


def test_target_of_a_sentence_is_its_nearest_person() -> None:
    read = read_facts("A car is near on the left, a walker is far on the right and a man stands close in the center.")
    assert read.target == Mention("person", "center", "near")
    assert read_facts("It rains.").target is None


def test_class_of_names() -> None:
    assert [class_of(name) for name in ("van", "Police car", "traffic_cone", "lamp post", "unicorn")] == [
        "car",
        "car",
        "cone",
        "pole",
        None,
    ]
    assert all(class_of(name) == name and class_of(plural(name)) == name for name in CLASSES)
    assert classes_in(FACTS) == {"road", "tree", "car", "person"}


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("A car on the left and a LEFTMOST tree.", "A car on the right and a RIGHTMOST tree."),
        ("Right of center, left-hand side.", "Left of center, right-hand side."),
        ("Bright upright signs are left to the visible.", "Bright upright signs are left to the visible."),
        ("It fills the left edge right in front of us.", "It fills the right edge right in front of us."),
        ("The man at the right in front of a wall.", "The man at the left in front of a wall."),
        ("from left to right", "from right to left"),
    ],
)
def test_mirror_swaps_directions_only(text: str, mirrored: str) -> None:
    assert mirror(text) == mirrored
    assert mirror(mirrored) == text


def test_mirrored_facts_give_the_mirrored_report() -> None:
    mirrored = mirror_facts({**FACTS, "captions": ["A van at the left."]})
    assert write_report(mirrored) == mirror(REPORT)
    assert mirrored["scene"] == "street with a van on the right"
    assert mirrored["captions"] == ["A van at the right."]
    assert mirror_facts(mirrored)["objects"] == FACTS["objects"]
    assert FACTS["objects"][1]["position"] == "left"  # the given facts stay as they are

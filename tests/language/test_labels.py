from __future__ import annotations

import torch

from ldfusion.language.labels import LABELS, label_targets, named_in, present_in

FACTS = {
    "light": "night",
    "objects": [
        {"name": "road", "position": "center", "distance": "near"},
        {"name": "van", "position": "center", "distance": "mid"},
        {"name": "person", "position": "left", "distance": "far"},
        {"name": "umbrella", "position": "left", "distance": "far"},
    ],
}


def test_a_sentence_gives_the_classes_the_light_and_the_place_of_its_main_target() -> None:
    text = "In the dark a van is parked nearby in the center and two pedestrians walk far away on the left."
    assert named_in(text) == {"car", "person", "night", "target left", "target far"}
    assert named_in("highlight the cyclists") == {"person"}
    assert named_in("fuse the two images") == frozenset()


def test_a_pair_has_the_labels_of_its_facts() -> None:
    assert present_in(FACTS) == {"road", "car", "person", "night", "target left", "target far"}
    assert present_in({"light": "fog", "objects": []}) == {"fog"}


def test_targets_are_ones_in_the_order_of_the_labels() -> None:
    targets = label_targets([named_in("a person by day"), frozenset()])
    assert targets.shape == (2, len(LABELS)) and targets.dtype == torch.float32
    assert [LABELS[k] for k in targets[0].nonzero()[:, 0]] == ["person", "day"]
    assert targets[1].sum() == 0

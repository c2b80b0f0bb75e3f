"""Captions say what the facts hold."""

from __future__ import annotations

from captioning.facts import mirror
from ldfusion.rendering import render_scene
from ldfusion.rendering.truth.facts import TARGETS

SMALL = (96, 128)


def test_caption_names_the_nearest_target_of_the_facts() -> None:
    told = 0
    for seed in range(12):
        sample = render_scene(seed, size=SMALL)
        objects = sample.facts["objects"]
        assert sample.facts["light"] == sample.light and sample.facts["scene"]
        assert len(objects) <= 8 and len(sample.captions) == 3 and sample.captions[0] == sample.caption
        for fact in objects:
            assert set(fact) == {"name", "position", "distance", "visible_in", "thermal"}
            assert fact["position"] in ("left", "center", "right") and fact["distance"] in ("near", "mid", "far")
            assert fact["visible_in"] in ("both", "visible", "infrared") and fact["thermal"] in (
                "warm",
                "neutral",
                "cool",
            )
        ranks = [("near", "mid", "far").index(fact["distance"]) for fact in objects]
        assert ranks == sorted(ranks)
        targets = [fact for fact in objects if fact["name"] in TARGETS]
        if targets:
            told += 1
            name = (
                "people"
                if f"a {targets[0]['name']} " not in sample.caption and targets[0]["name"] == "person"
                else targets[0]["name"]
            )
            assert name in sample.caption and targets[0]["position"] in sample.caption
        for caption in sample.captions:
            assert caption[0].isupper() and caption.endswith(".") and "  " not in caption
            assert mirror(mirror(caption)) == caption
    assert told >= 6

"""What the two cameras make of light, air and warmth."""

from __future__ import annotations

import numpy as np
import pytest

from ldfusion.rendering import SceneSample, render_scene

SMALL = (96, 128)


def test_night_is_darker_and_fog_is_pale() -> None:
    for seed in (1, 3):
        day, night, fog = (
            render_scene(seed, light, "street", SMALL, registered=True).visible for light in ("day", "night", "fog")
        )
        assert night.mean() < 0.5 * day.mean()
        assert fog.std() < day.std()


def test_an_unlit_night_is_the_same_street_without_lamps() -> None:
    lit, unlit = (render_scene(3, light, "street", SMALL, registered=True) for light in ("night", "unlit"))
    assert np.array_equal(lit.depth_visible_m, unlit.depth_visible_m) and np.array_equal(lit.labels, unlit.labels)
    assert unlit.visible.mean() < 0.7 * lit.visible.mean() and (unlit.visible > 0.8).mean() < 0.01
    assert np.abs(unlit.infrared - lit.infrared).mean() < 0.02
    assert unlit.light == "unlit" and unlit.facts["light"] == "night"
    seen = [sum(o["visible_in"] != "infrared" for o in s.facts["objects"]) for s in (lit, unlit)]
    assert 0 < seen[1] <= seen[0]


def test_people_are_warmer_than_what_is_around_them() -> None:
    brighter = []
    for seed in range(10):
        sample = render_scene(seed, "night", "street", SMALL, registered=True)
        person = sample.labels == 2
        around = (sample.labels == 0) & np.isfinite(sample.depth_visible_m[0])
        if person.sum() > 30:
            brighter.append(sample.infrared[0][person].mean() - sample.infrared[0][around].mean())
    assert len(brighter) >= 4
    assert min(brighter) > 0.1


@pytest.mark.parametrize("light", ["fog", "smoke"])
def test_bad_air_hides_the_distance_from_the_visible_camera_more_than_from_the_infrared(light: str) -> None:
    """Contrast of neighbouring pixels beyond 25 m, relative to the same place by day."""

    def contrast(sample: SceneSample) -> tuple[float, float]:
        depth = sample.depth_visible_m[0]
        far = np.isfinite(depth) & (depth > 25)
        both = far[:, 1:] & far[:, :-1]
        assert both.sum() > 50
        luma = sample.visible.mean(0)
        return tuple(float(np.abs(np.diff(image, axis=1))[both].mean()) for image in (luma, sample.infrared[0]))  # type: ignore[return-value]

    for seed in (3, 8):
        clear = contrast(render_scene(seed, "day", "street", SMALL, registered=True))
        hidden = contrast(render_scene(seed, light, "street", SMALL, registered=True))
        assert hidden[0] / clear[0] < 0.6
        assert hidden[1] / clear[1] > 1.5 * hidden[0] / clear[0]

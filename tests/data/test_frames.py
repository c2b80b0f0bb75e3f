from __future__ import annotations

import numpy as np
import pytest
import torch

from ldfusion.data.frames import FrameRules, bad_masks, judge, person_labels, split_names, split_sizes
from ldfusion.errors import InputError
from ldfusion.io.frame import Frame
from ldfusion.io.video_pair import FramePair

RULES = FrameRules(size=(48, 64))


class Bright:
    """Humans are bright in both images."""

    def visible(self, image: torch.Tensor) -> torch.Tensor:
        return (image.mean(1, keepdim=True) > 0.6).float()

    def infrared(self, image: torch.Tensor) -> torch.Tensor:
        return (image > 0.6).float()


def pair(human: tuple[int, int] = (10, 10), ground: tuple[int, int] = (90, 60)) -> FramePair:
    """Frames of 96x128 with a human of these widths (visible, infrared) on grounds of these grey values."""
    visible = np.full((96, 128, 3), ground[0], np.uint8)
    infrared = np.full((96, 128), ground[1], np.uint8)
    visible[20:60, 20 : 20 + human[0]] = 230
    infrared[20:60, 30 : 30 + human[1]] = 230
    return FramePair(0.0, Frame(0.0, visible), Frame(0.0, infrared))


def test_a_good_pair_is_resized_and_kept() -> None:
    judged = judge(pair(), RULES, None)
    assert judged.reason == ""
    assert {k: tuple(v.shape) for k, v in judged.images.items()} == {"visible": (3, 48, 64), "infrared": (1, 48, 64)}
    assert judged.images["visible"].max().item() == pytest.approx(230 / 255, abs=0.01)


def test_dark_is_more_than_95_percent_of_the_values_below_20() -> None:
    dark = judge(pair((0, 10), ground=(19, 60)), RULES, None)
    assert dark.reason == "visible dark" and dark.figures["dark_visible"] == 1 and not dark.images
    assert judge(pair((0, 10), ground=(20, 60)), RULES, None).reason == ""
    assert judge(pair((10, 0), ground=(90, 3)), RULES, None).reason == "infrared dark"
    # 40 rows of 96 times 20 columns of 128 are 6.5 % bright values
    assert judge(pair((20, 20), ground=(3, 3)), RULES, None).reason == ""
    assert judge(pair((15, 20), ground=(3, 3)), RULES, None).reason == "visible dark"
    assert judge(pair((0, 0), ground=(3, 3)), FrameRules(dark_share=1.0), None).reason == ""


def test_pairs_without_a_human_or_with_a_bad_mask_are_left_out() -> None:
    rules = FrameRules(size=(96, 128), humans=True)
    kept = judge(pair(), rules, Bright())
    assert kept.reason == "" and set(kept.images) == {
        "visible", "infrared", "visible_mask", "infrared_mask", "object_mask",
    }  # fmt: skip
    assert kept.images["visible_mask"].sum() == 400 and kept.images["visible_mask"][0, 30, 25] == 1
    assert kept.images["infrared_mask"][0, 30, 25] == 0 and kept.images["infrared_mask"][0, 30, 35] == 1
    assert kept.figures["human_visible"] == pytest.approx(400 / (96 * 128), abs=1e-4)
    published = judge(pair(), FrameRules(size=(96, 128), humans=True, polarity="human-0"), Bright())
    assert torch.equal(published.images["visible_mask"], 1 - kept.images["visible_mask"])
    assert torch.equal(published.images["object_mask"], kept.images["object_mask"])
    assert judge(pair((0, 10)), rules, Bright()).reason == "visible without human"
    assert judge(pair((10, 0)), rules, Bright()).reason == "infrared without human"
    assert judge(pair((4, 90)), rules, Bright()).reason.startswith("masks disagree: one is 23 times")
    assert judge(pair((10, 10), ground=(90, 200)), rules, Bright()).reason == "infrared mask bad: 100 % human"
    assert bad_masks({"visible": 0.1, "infrared": 0.1}, rules) == ""


def test_published_split_and_its_scaling() -> None:
    assert split_sizes(10_431, (8000, 1000, 1400)) == (8000, 1000, 1400)  # 31 unused, as published
    assert split_sizes(104, (8000, 1000, 1400)) == (80, 10, 14)
    assert split_sizes(10, (0.8, 0.1, 0.1)) == (8, 1, 1)
    assert split_sizes(10, (0.5, 0.2, 0)) == (5, 2, 0)
    assert split_sizes(10, (0.9, 0.9, 0.2)) == (4, 4, 1) and sum(split_sizes(3, (0.8, 0.1, 0.1))) <= 3
    assert split_sizes(1, (8000, 1000, 1400)) == (1, 0, 0)


def test_random_split_keeps_the_rest_in_order_and_time_split_keeps_all() -> None:
    names = [f"f{k:03d}" for k in range(100)]
    drawn = split_names(names, FrameRules(split=(60, 10, 20)))
    assert [len(drawn[s]) for s in ("train", "val", "test")] == [60, 10, 20]
    assert not set(drawn["train"]) & set(drawn["val"]) and drawn["val"][-1] < drawn["test"][0]
    assert all(part == sorted(part) for part in drawn.values()) and drawn["train"] != names[:60]
    assert drawn == split_names(names, FrameRules(split=(60, 10, 20)))
    assert drawn != split_names(names, FrameRules(split=(60, 10, 20), seed=1))
    in_time = split_names(names, FrameRules(split=(60, 10, 20), order="time"))
    assert (in_time["train"], in_time["val"], in_time["test"]) == (names[:60], names[60:70], names[70:90])


def test_labels_and_mistakes() -> None:
    assert person_labels(torch.tensor([[[0.0, 1.0]]]), 2).tolist() == [[[0, 2]]]
    for wrong in ({"every": 0}, {"size": (20, 64)}, {"dark_share": 1.5}, {"split": (0.0, 1.0, 1.0)}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            FrameRules(**wrong)

"""Which frame pairs of two videos become a data set: the rules, and the judgement of one pair.

The rules are those of the registration papers' fire-fighter data: frames in step and of one size, none that is dark,
none without a human, splits of 8000, 1000 and 1400.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.size import resize
from ldfusion.io.video_pair import FramePair

SPLITS = ("train", "val", "test")
PUBLISHED_SPLIT = (8000.0, 1000.0, 1400.0)
Order = Literal["random", "time"]


class HumanMasks(Protocol):
    """Makes human masks (B, 1, H, W), human = 1, of images in [0, 1]."""

    def visible(self, image: Tensor) -> Tensor:
        """Of visible images (B, 3, H, W)."""
        ...

    def infrared(self, image: Tensor) -> Tensor:
        """Of infrared images (B, 1, H, W)."""
        ...


@dataclass(frozen=True)
class FrameRules:
    """What is done to every pair, and which are left out.

    Attributes:
        size: (height, width) of the images written.
        every: take every n-th pair of frames.
        offset: seconds to add to the visible clock to get the infrared one.
        dark_share: a frame with more than this share of its values below ``dark_level`` is dark; 1 keeps all.
        dark_level: of 255.
        humans: leave out pairs without a human or with a bad mask in either image, and write the masks.
        least_human: share of the pixels below which there is no human.
        most_human: share above which a mask is bad.
        human_ratio: largest ratio of the areas of the two masks, either way, above which one of them is bad.
        polarity: value of humans in the mask files: ``human-255`` or, as published, ``human-0``.
        split: sizes of train, val and test, counts or shares of what is kept; too large counts are scaled down.
        order: ``random`` as published (train at random, the rest in order), or ``time``: neighbouring frames, which
            are nearly the same picture, then stay on one side.
        seed: of the random split.
    """

    size: tuple[int, int] = (240, 320)
    every: int = 1
    offset: float = 0.0
    dark_share: float = 0.95
    dark_level: int = 20
    humans: bool = False
    least_human: float = 0.002
    most_human: float = 0.6
    human_ratio: float = 8.0
    polarity: Literal["human-255", "human-0"] = "human-255"
    split: tuple[float, float, float] = PUBLISHED_SPLIT
    order: Order = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("size", min(self.size) >= 32, "32 pixels a side or more"),
            ("every", self.every >= 1, "1 or more"),
            ("dark_share", 0 <= self.dark_share <= 1, "a share, 0 to 1"),
            ("split", min(self.split) >= 0 and self.split[0] > 0, "three sizes, the first above 0"),
        ):
            if not good:
                raise InputError(f"{name} {getattr(self, name)}: give {wanted}")

    def as_dict(self) -> dict[str, Any]:
        """The rules as plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Judged:
    """One pair after the rules.

    Attributes:
        reason: why it is left out; empty: it is kept.
        images: by folder of the data set, (3 or 1, H, W) in [0, 1], at the size of the rules; none if it is left out.
        figures: what the decision was made on.
    """

    reason: str
    images: Mapping[str, Tensor] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


def dark_share(pixels: np.ndarray[Any, Any], level: int) -> float:
    """Share of all channel values of an 8-bit image below ``level``."""
    return float((pixels < level).mean())


def judge(pair: FramePair, rules: FrameRules, masks: HumanMasks | None) -> Judged:
    """Apply the rules to one pair of frames.

    Args:
        masks: needed if ``rules.humans``.
    """
    figures = {
        "dark_visible": round(dark_share(pair.visible.pixels, rules.dark_level), 4),
        "dark_infrared": round(dark_share(pair.infrared.pixels, rules.dark_level), 4),
    }
    for side in ("visible", "infrared"):
        if figures[f"dark_{side}"] > rules.dark_share:
            return Judged(f"{side} dark", figures=figures)
    visible, infrared = resize(pair.visible.tensor(), rules.size), resize(pair.infrared.tensor(), rules.size)
    images = {"visible": visible[0], "infrared": infrared[0]}
    if rules.humans:
        assert masks is not None
        both = {"visible": masks.visible(visible), "infrared": masks.infrared(infrared)}
        shares = {side: float(mask.mean()) for side, mask in both.items()}
        figures |= {f"human_{side}": round(share, 4) for side, share in shares.items()}
        reason = bad_masks(shares, rules)
        if reason:
            return Judged(reason, figures=figures)
        for side, mask in both.items():
            images[f"{side}_mask"] = (mask if rules.polarity == "human-255" else 1 - mask)[0]
        images["object_mask"] = both["visible"][0]
    return Judged("", images, figures)


def bad_masks(shares: Mapping[str, float], rules: FrameRules) -> str:
    """Why two human masks cannot be used, by their shares of the image; empty: they can."""
    for side, share in shares.items():
        if share < rules.least_human:
            return f"{side} without human"
        if share > rules.most_human:
            return f"{side} mask bad: {100 * share:.0f} % human"
    small, large = sorted(shares.values())
    if large > rules.human_ratio * small:
        return f"masks disagree: one is {large / small:.0f} times the other"
    return ""


def split_sizes(kept: int, split: Sequence[float]) -> tuple[int, int, int]:
    """Numbers of train, val and test pairs out of ``kept``.

    Shares (all at most 1) are taken of what is kept. Counts are taken as they are while there are enough pairs, else in
    proportion; what is left over by counts is used by none, as published.
    """
    total = sum(split)
    if max(split) <= 1:
        wanted = [kept * min(1.0, share / max(total, 1.0)) for share in split]
    elif total <= kept:
        wanted = list(split)
    else:
        wanted = [kept * count / total for count in split]
    train, val = round(wanted[0]), round(wanted[1])
    test = min(kept - train - val, round(wanted[2]))
    return train, val, max(0, test)


def split_names(names: Sequence[str], rules: FrameRules) -> dict[str, list[str]]:
    """Names of the kept pairs by split, each in their order; a function of the names and the rules alone."""
    train, val, test = split_sizes(len(names), rules.split)
    chosen = set(range(train))
    if rules.order == "random":
        chosen = set(np.random.default_rng(rules.seed).permutation(len(names))[:train].tolist())
    rest = [name for k, name in enumerate(names) if k not in chosen]
    return {
        "train": [name for k, name in enumerate(names) if k in chosen],
        "val": rest[:val],
        "test": rest[val : val + test],
    }


def person_labels(mask: Tensor, person: int) -> Tensor:
    """A human mask (1, H, W), human = 1, as an 8-bit label image of the id ``person`` on 0."""
    return (mask > 0.5).to(torch.uint8) * person

"""What a registration network is shown of each image: grey, contours, or human masks.

A transform is found on these and then applied to the original frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ldfusion.config import nearest
from ldfusion.errors import InputError
from ldfusion.io.color import luma
from ldfusion.registration.contours import CONTOURS
from ldfusion.registration.masks import published_polarity

MASKS, PUBLISHED_MASKS = "masks", "masks-published"
KINDS = ("grey", *CONTOURS, MASKS, PUBLISHED_MASKS)
"""``masks``: human = 1, so that what is pulled in from outside, 0, means no human. ``masks-published``: human = 0, as
the published weights were trained."""


def check_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds as a tuple.

    Raises:
        InputError: none at all, or an unknown one.
    """
    if isinstance(kinds, str) or not kinds:
        raise InputError(f"registration inputs {kinds!r}: give a list of {', '.join(KINDS)}")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"registration input: unknown '{kind}'; {nearest(kind, KINDS)}")
    return tuple(kinds)


def needs_masks(kinds: Sequence[str]) -> bool:
    """Whether any of the kinds is a human mask."""
    return MASKS in kinds or PUBLISHED_MASKS in kinds


def grey(image: Tensor) -> Tensor:
    """Luma of a visible image (B, 3, H, W); an infrared image (B, 1, H, W) as it is."""
    return luma(image) if image.shape[-3] == 3 else image


def show(image: Tensor, kinds: Sequence[str], mask: Tensor | None = None) -> Tensor:
    """The channels of one image that a network is shown.

    Args:
        image: visible (B, 3, H, W) or infrared (B, 1, H, W) in [0, 1], at the size the network works at.
        kinds: which; one channel each, in this order.
        mask: human mask (B, 1, H, W) in [0, 1], human = 1; needed by the mask kinds.

    Returns:
        (B, len(kinds), H, W) in [0, 1].

    Raises:
        ValueError: a kind that needs a mask, without one.
    """
    plain = grey(image)
    channels = []
    for kind in kinds:
        if kind in CONTOURS:
            channels.append(CONTOURS[kind](plain))
        elif kind == "grey":
            channels.append(plain)
        elif mask is None:
            raise ValueError(f"the input '{kind}' needs a mask")
        else:
            channels.append(mask if kind == MASKS else published_polarity(mask))
    return torch.cat(channels, dim=1)

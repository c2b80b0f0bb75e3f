"""Label sets of segmentation: the names and colours of the classes, in one place.

Label images hold class ids 0..K-1; `IGNORED` marks pixels without a label, which no loss and no figure counts.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ldfusion.config import nearest
from ldfusion.errors import InputError

IGNORED = 255

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """Names and RGB colours (0..255) of the classes, in the order of their ids."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, labels: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Masks of the ids of MSRS in terms of these classes, where these are all or the first of them.

        Args:
            labels: class ids (B, H, W).
            known: (B,) how many ids the mask of each sample tells apart: 9, or 4 of a pseudo-mask.

        Returns:
            The labels, in which a class that is none of these is background, and (B,) how many of these classes each
            mask knows: the background of a mask may be any class that it does not know.
        """
        every = torch.full_like(known, len(self))
        if self.names != tuple(_MFNET)[: len(self)]:
            return labels, every  # classes of the user's own
        other = (labels >= len(self)) & (labels < known[:, None, None])
        return torch.where(other, torch.zeros_like(labels), labels), torch.minimum(known, every)

    def check(self, labels: Tensor, where: str) -> None:
        """Raise `InputError` when ``labels`` of any shape hold an id that is neither of these classes nor `IGNORED`."""
        bad = labels[(labels < 0) | ((labels >= len(self)) & (labels != IGNORED))]
        if bad.numel():
            raise InputError(
                f"{where}: label id {int(bad[0])} is not one of the {len(self)} classes ({', '.join(self.names)}); "
                f"expected 0..{len(self) - 1}, or {IGNORED} to ignore a pixel"
            )

    def paint(self, labels: Tensor) -> Tensor:
        """Colour image (B, 3, H, W) in [0, 1] of labels (B, H, W); `IGNORED` is grey."""
        palette = torch.full((256, 3), 128, dtype=torch.float32, device=labels.device)
        palette[: len(self)] = torch.tensor(self.colours, dtype=torch.float32, device=labels.device)
        return (palette[labels.long()] / 255).permute(0, 3, 1, 2)


_MFNET: dict[str, Colour] = {
    "background": (0, 0, 0),
    "car": (64, 0, 128),
    "person": (64, 64, 0),
    "bike": (0, 128, 192),
    "curve": (0, 0, 192),
    "car stop": (128, 128, 0),
    "guardrail": (64, 64, 128),
    "colour cone": (192, 128, 128),
    "bump": (192, 64, 0),
}

LABEL_SETS = {
    "msrs": LabelSet(tuple(_MFNET), tuple(_MFNET.values())),
    "objects": LabelSet(tuple(_MFNET)[:4], tuple(_MFNET.values())[:4]),
}
"""``msrs``: the nine classes of MFNet and MSRS with the palette of their label images; ``objects``: the first four,
the ids of the ``object_mask`` files."""


def label_set(given: str | Sequence[str]) -> LabelSet:
    """A label set by name, or one made of class names, whose colours are spread over the hues (the first is black).

    Raises:
        InputError: an unknown name, fewer than two classes, more than 255, or a name that comes twice.
    """
    if isinstance(given, str):
        if given not in LABEL_SETS:
            raise InputError(
                f"label set: unknown '{given}'; {nearest(given, LABEL_SETS)} A list of class names makes a new one"
            )
        return LABEL_SETS[given]
    names = tuple(str(name) for name in given)
    for known in LABEL_SETS.values():
        if names == known.names:
            return known
    if not 2 <= len(names) <= IGNORED or len(set(names)) < len(names):
        raise InputError(f"label set {list(names)}: give 2 to {IGNORED} different class names")
    hues = [k / (len(names) - 1) for k in range(len(names) - 1)]
    colours = [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.8, 0.9)) for hue in hues]
    return LabelSet(names, ((0, 0, 0), *((c[0], c[1], c[2]) for c in colours)))

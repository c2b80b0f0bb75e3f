"""Infrared images that are turned or mirrored against the visible ones: a camera mounted on its side, a mirror, a file
whose orientation was lost. Registration methods look for small rotations; here the eight orientations are tried.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ldfusion.registration.methods import Registrar
from ldfusion.registration.warp import Matrix, Size
from ldfusion.types import Registration

Turn = tuple[bool, int]
"""Whether an image is mirrored left to right first, and how many quarters it is then turned counterclockwise."""
UPRIGHT: Turn = (False, 0)
TURNS: dict[Turn, str] = {
    UPRIGHT: "",
    (False, 2): "turn it by 180 degrees",
    (True, 0): "mirror it left to right",
    (False, 1): "turn it by 90 degrees counterclockwise",
    (False, 3): "turn it by 90 degrees clockwise",
    (True, 2): "mirror it top to bottom",
    (True, 1): "mirror it left to right and turn it by 90 degrees counterclockwise",
    (True, 3): "mirror it left to right and turn it by 90 degrees clockwise",
}
"""All orientations, the likeliest first, and what makes an image upright."""
SURE = 0.9
"""Score from which a registration of a turned image is believed: seven further tries find more by chance."""
TRIES = 3
"""Pairs that cannot be registered upright of which all orientations are tried: cameras do not turn between pairs."""


def turned(image: Tensor, turn: Turn) -> Tensor:
    """(..., H, W), or (..., W, H) after an odd number of quarters."""
    mirrored, quarters = turn
    return torch.rot90(image.flip(-1) if mirrored else image, quarters, (-2, -1))


def turn_matrix(turn: Turn, size: Size) -> Matrix:
    """(3, 3), pixels (x, y) of an image of ``size`` -> pixels of the turned one."""
    height, width = size
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij"
    )
    old = turned(torch.stack([x, y]), turn).numpy()  # which pixel is shown at each place
    origin, right, below = old[:, 0, 0], old[:, 0, 1], old[:, 1, 0]
    back = np.eye(3)
    back[:2] = np.stack([right - origin, below - origin, origin], axis=1)
    return np.asarray(np.linalg.inv(back), dtype=np.float64)


class AnyTurn:
    """Registers as another registrar does, and tries the other orientations of the infrared image where that fails.

    Args:
        registrar: of upright pairs. A flow of it is not carried over to a turned image.
        tries: pairs in a row that are tried in all orientations before it gives up; 0: none, as the registrar alone.

    Attributes:
        advice: what would make the infrared image of the last call upright; empty where it is, or nothing was found.
    """

    def __init__(self, registrar: Registrar, tries: int = TRIES) -> None:
        self.registrar, self.advice = registrar, ""
        self._known: Turn = UPRIGHT
        self._left = self._tries = tries

    def __call__(self, visible: Tensor, infrared: Tensor) -> Registration:
        """See `Registrar`; the matrix takes the pixels of the image as it came."""
        self.advice = ""
        first = self._turned(visible, infrared, self._known)
        if first.trusted:
            return first
        upright = first if self._known == UPRIGHT else self._turned(visible, infrared, UPRIGHT)
        if upright.trusted or self._left == 0:
            return upright
        self._left -= 1
        for turn in TURNS:
            if turn not in (UPRIGHT, self._known):
                found = self._turned(visible, infrared, turn)
                if found.trusted:
                    self._known, self._left = turn, self._tries
                    return found
        return upright

    def _turned(self, visible: Tensor, infrared: Tensor, turn: Turn) -> Registration:
        """A registration of the turned image, of the image as it came."""
        if turn == UPRIGHT:
            return self.registrar(visible, infrared)
        found = self.registrar(visible, turned(infrared, turn))
        matrix = found.matrix @ turn_matrix(turn, (infrared.shape[-2], infrared.shape[-1]))
        sure = found.trusted and found.flow is None and found.score >= SURE
        self.advice = TURNS[turn] if sure else ""
        return replace(found, matrix=matrix / matrix[2, 2], trusted=sure, flow=None)

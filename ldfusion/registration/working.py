"""A pair at the size a registration network works at, and the way between its pixels and those of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldfusion.io.size import resize
from ldfusion.registration.contours import local_edges
from ldfusion.registration.inputs import check_kinds, grey, needs_masks, show
from ldfusion.registration.masks import MaskSource
from ldfusion.registration.warp import resize_matrix, sample, sampling_points, valid_mask, warp_image

Matrix = NDArray[np.float64]
Start = Literal["resize", "cover"]
"""How the infrared image is laid on the visible one before a network sees it: stretched to its size, as the papers do,
or enlarged with its own aspect until it covers it, centred."""

_PLAUSIBLE = (0.25, 4.0)
"""Least and largest change of area against the start that a registration is believed to make."""


def start_matrix(infrared: tuple[int, int], visible: tuple[int, int], start: Start) -> Matrix:
    """Infrared pixels -> visible pixels before anything is known; sizes are (height, width)."""
    if start == "resize":
        return resize_matrix(infrared, visible)
    scale = max(visible[0] / infrared[0], visible[1] / infrared[1])
    centre = [(scale * (1 - infrared[k]) + visible[k] - 1) / 2 for k in (1, 0)]
    return np.array([[scale, 0, centre[0]], [0, scale, centre[1]], [0, 0, 1]])


class WorkingPair:
    """One pair as a network sees it.

    Args:
        visible: (1, 3, H, W) in [0, 1].
        infrared: (1, 1, h, w) in [0, 1], of any size, on the same device.
        kinds: what the network is shown (`ldfusion.registration.inputs.KINDS`).
        size: (height, width) it works at.
        masks: where human masks come from, if a kind needs them; None: the default source.
    """

    def __init__(
        self,
        visible: Tensor,
        infrared: Tensor,
        kinds: Sequence[str],
        size: tuple[int, int],
        masks: MaskSource | None = None,
    ) -> None:
        self.kinds, self.size = check_kinds(kinds), size
        self.visible_size = (visible.shape[-2], visible.shape[-1])
        self.infrared_size = (infrared.shape[-2], infrared.shape[-1])
        self._down = resize_matrix(self.visible_size, size)
        small = resize(visible, size)
        source = (masks or MaskSource()) if needs_masks(self.kinds) else None
        self.grey = grey(small)
        self.fixed = show(small, self.kinds, None if source is None else source.visible(small))
        # an image much larger than the working size is low-pass filtered once, before it is sampled
        shrunk = (min(self.infrared_size[0], 2 * size[0]), min(self.infrared_size[1], 2 * size[1]))
        self._infrared = resize(infrared, shrunk)
        self._shrink = resize_matrix(self.infrared_size, shrunk)
        self._mask = None if source is None else source.infrared(self._infrared)

    def start(self, start: Start = "resize") -> Matrix:
        """See `start_matrix`."""
        return start_matrix(self.infrared_size, self.visible_size, start)

    def _to_working(self, matrix: Matrix) -> Matrix:
        """An infrared -> visible matrix as stored infrared pixels -> working pixels."""
        return np.asarray(self._down @ matrix @ np.linalg.inv(self._shrink))

    def warped(self, matrix: Matrix) -> Tensor:
        """The infrared image (1, 1, *size) moved by an infrared -> visible matrix; its border repeated outside."""
        return warp_image(self._infrared, self._to_working(matrix), self.size)

    def covered(self, matrix: Matrix) -> Tensor:
        """(1, 1, *size) bool: where the infrared image has data."""
        stored = (self._infrared.shape[-2], self._infrared.shape[-1])
        return valid_mask(self._to_working(matrix), stored, self.size).to(self.grey.device)

    def moving(self, matrix: Matrix) -> Tensor:
        """What the network is shown of the infrared image moved by ``matrix``: (1, k, *size)."""
        mask = None
        if self._mask is not None:
            # nobody is there where nothing was seen
            mask = warp_image(self._mask, self._to_working(matrix), self.size) * self.covered(matrix)
        return show(self.warped(matrix), self.kinds, mask)

    def compose(self, matrix: Matrix, backward: Matrix) -> Matrix:
        """The infrared -> visible matrix after a network has seen the image moved by ``matrix``.

        Args:
            matrix: what the infrared image was moved by.
            backward: the network's answer, fixed -> moving working pixels.
        """
        full = np.linalg.inv(self._down) @ np.linalg.inv(backward) @ self._down @ matrix
        return np.asarray(full / full[2, 2], dtype=np.float64)

    def flow_points(self, matrix: Matrix, flow: Tensor) -> Tensor:
        """For each visible pixel the infrared pixel (H, W, 2) that it shows.

        Args:
            matrix: what the infrared image was moved by before the network saw it.
            flow: the network's answer (1, 2, *size), displacement (x, y) in working pixels.
        """
        to_visible = np.asarray(np.linalg.inv(self._down))
        seen = sampling_points(
            to_visible, self.visible_size, flow.device
        )  # for each visible pixel, where it is at working size
        moved = seen + sample(flow, seen)[0].permute(1, 2, 0)
        back = torch.from_numpy(np.linalg.inv(self._down @ matrix)).to(flow.device)
        homogeneous = torch.cat([moved.double(), torch.ones_like(moved[..., :1], dtype=torch.float64)], dim=-1)
        points = homogeneous @ back.T
        return (points[..., :2] / points[..., 2:]).float()


def similarity(pair: WorkingPair, matrix: Matrix, warped: Tensor | None = None) -> tuple[float, bool]:
    """How well the outlines agree after a registration, and whether that is believed.

    The score is the correlation of locally normalised gradient magnitudes where the infrared image has data, 0 if
    negative. It is trusted if it is no lower than at the start and the change of area is plausible.

    Args:
        warped: the moved infrared image (1, 1, *size); by ``matrix`` if None.
    """
    covered = pair.covered(matrix)
    before_matrix = pair.start()
    before = _outlines(pair, pair.warped(before_matrix), pair.covered(before_matrix))
    after = _outlines(pair, pair.warped(matrix) if warped is None else warped, covered)
    change = abs(np.linalg.det(matrix[:2, :2]) / np.linalg.det(before_matrix[:2, :2]))
    plausible = _PLAUSIBLE[0] < change < _PLAUSIBLE[1] and float(covered.float().mean()) > 0.25
    return max(0.0, min(1.0, after)), bool(plausible and after > 0 and after >= before - 1e-3)


def _outlines(pair: WorkingPair, warped: Tensor, covered: Tensor) -> float:
    a, b = (local_edges(image)[covered] for image in (warped, pair.grey))
    if a.numel() < 2 or a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def linear_part(points: Tensor) -> Matrix:
    """The affine infrared -> visible matrix nearest to sampling points (H, W, 2), least squares over a coarse grid."""
    height, width = points.shape[:2]
    y, x = (torch.linspace(0, n - 1, min(n, 17)).round().long() for n in (height, width))
    moving = points[y][:, x].reshape(-1, 2).double().cpu().numpy()
    fixed = np.stack(np.meshgrid(x.numpy(), y.numpy()), axis=-1).reshape(-1, 2)
    solved, *_ = np.linalg.lstsq(np.column_stack([moving, np.ones(len(moving))]), fixed, rcond=None)
    return np.vstack([solved.T, [0, 0, 1]])

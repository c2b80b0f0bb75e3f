"""Registration of a clip: one transform for two cameras on one rig, refined over frames and smoothed in time.

Single frames are registered now and then, and what counts is the median of the newest estimates that agree with each
other: one bad frame moves nothing, and more frames make the transform better. Between estimates a cheap measure of how
well edges coincide watches over the transform; when it falls, the frame is registered again at once. A different
transform, of cameras that were knocked or zoomed, is taken up when two estimates in a row agree on it, and the picture
glides there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ldfusion.errors import InputError
from ldfusion.io.size import match_infrared
from ldfusion.registration.align import resample
from ldfusion.registration.edges import edge_agreement
from ldfusion.registration.methods import Registrar
from ldfusion.registration.polish import polish
from ldfusion.registration.votes import AGREE, Corners, distance, largest_group, matrix_of, nearer
from ldfusion.registration.warp import corners, inside, sampling_points, transform_points

_PRIMED = 3  # votes of the transform that a clip starts from
_STILL = 0.02  # pixels; a corner that would move less stays, so that the sampling grid is kept


@dataclass(frozen=True)
class Policy:
    """When a clip is registered anew, and what is believed.

    Attributes:
        window: newest agreeing estimates whose median is the transform.
        agree: mean distance of corners, as a share of the visible diagonal, within which two estimates are one.
        soonest: seconds of video between estimates at first; doubled with every estimate that agrees or fails.
        latest: seconds between estimates in the end.
        fall: an edge agreement below this share of its usual value asks for an estimate at once.
        glide: time constant in seconds with which the picture follows the transform.
    """

    window: int = 9
    agree: float = AGREE
    soonest: float = 0.5
    latest: float = 8.0
    fall: float = 0.7
    glide: float = 0.4


@dataclass(frozen=True)
class Estimate:
    """One registered frame.

    Attributes:
        time: seconds since the first frame.
        score: of the registrar.
        trusted: by the registrar.
        outcome: ``used``, ``new`` (the cameras have moved), ``odd`` (disagrees with the others, waits for a second
            one) or ``failed``.
        matrix: of the clip after it, infrared -> visible pixels; None before the first success.
    """

    time: float
    score: float
    trusted: bool
    outcome: str
    matrix: list[list[float]] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class ClipRegistration:
    """Warps the infrared frames of a clip onto the visible ones; call it with frames in order of time.

    Args:
        registrars: register single frames; of their results the matrix is used. The first one that can start the clip
            (`prime`) goes on with it.
        policy: see `Policy`.

    Attributes:
        estimates: every registered frame.
    """

    def __init__(self, *registrars: Registrar, policy: Policy | None = None) -> None:
        self._registrars, self.policy = registrars, policy or Policy()
        self._registrar = registrars[0]
        self.estimates: list[Estimate] = []
        self._window: list[Corners] = []
        self._odd: Corners | None = None
        self._applied: Corners | None = None
        self._grid: tuple[Tensor, Tensor] | None = None
        self._usual: float | None = None
        self._time = self._next = 0.0
        self._pause = self.policy.soonest

    @property
    def trusted(self) -> bool:
        """Whether any frame could be registered; otherwise the infrared is only resized."""
        return bool(self._window)

    @property
    def corners(self) -> Corners | None:
        """The clip's transform at present, as the places of the infrared corners; None before the first success."""
        return np.median(self._window, axis=0) if self._window else None

    def prime(self, samples: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Start from some frames of the clip, in any order: registered at once by a registrar that can, otherwise one
        by one, of which the largest group that agrees counts; then polished on all of them together.

        Args:
            samples: visible (1, 3, H, W) and infrared (1, 1, h, w) in [0, 1], taken from all over the clip.
        """
        frames = list(samples)
        if not frames:
            return
        size = (int(frames[0][1].shape[-2]), int(frames[0][1].shape[-1]))
        diagonal = math.hypot(*frames[0][0].shape[-2:])
        all_visible, all_infrared = (torch.cat(side) for side in zip(*frames, strict=True))
        group: list[Corners] = []
        for registrar in self._registrars:
            self._registrar = registrar
            if getattr(self._registrar, "joint", False):
                found = [self._first(all_visible, all_infrared, size)]
            else:
                found = [self._first(visible, infrared, size) for visible, infrared in frames]
            kept = [places for places in found if places is not None]
            group = [kept[k] for k in largest_group(kept, self.policy.agree * diagonal)]
            if group:
                break
        else:
            self._registrar = self._registrars[0]
            return
        median = np.median(group, axis=0)
        best = transform_points(polish(all_visible, all_infrared, matrix_of(median, size)).matrix, corners(size))
        joint = nearer(median, best, self.policy.agree * diagonal)
        self._window = [joint] * _PRIMED
        matrix = matrix_of(joint, size).tolist()
        self.estimates = [replace(e, matrix=matrix) if e.outcome == "used" else e for e in self.estimates]
        self._next = self._pause

    def __call__(self, visible: Tensor, infrared: Tensor, time: float) -> tuple[Tensor, Tensor | None]:
        """Warp one frame.

        Args:
            visible: (1, 3, H, W) in [0, 1].
            infrared: (1, 1, h, w) in [0, 1].
            time: seconds since the first frame.

        Returns:
            The infrared frame on the visible grid, (1, 1, H, W), border repeated, and the (1, 1, H, W) bool mask of the
            pixels that it covers; resized and None as long as no frame could be registered.
        """
        fallen = False
        warped = self._warp(visible, infrared, time)
        if warped is not None:
            fallen = self._fallen(visible, *warped)
        if time >= self._next or (fallen and time >= self._next - self._pause + self.policy.soonest):
            before = self.corners
            self._estimate(visible, infrared, time, fallen)
            if warped is None or before is None:
                warped = self._warp(visible, infrared, time)
        self._time = time
        return (match_infrared(visible, infrared), None) if warped is None else warped

    def _warp(self, visible: Tensor, infrared: Tensor, time: float) -> tuple[Tensor, Tensor] | None:
        target = self.corners
        if target is None:
            return None
        size = (int(visible.shape[-2]), int(visible.shape[-1]))
        if self._applied is None:
            moved = target
        else:
            share = 1 - math.exp(-max(time - self._time, 0.0) / self.policy.glide)
            moved = self._applied + share * (target - self._applied)
        if self._applied is None or self._grid is None or np.abs(moved - self._applied).max() > _STILL:
            self._applied = moved
            source = (int(infrared.shape[-2]), int(infrared.shape[-1]))
            points = sampling_points(matrix_of(moved, source), size, infrared.device)
            self._grid = points, inside(points, source)[None, None]  # the same mask as long as the transform stays
        points, mask = self._grid
        return resample(infrared, points)[0].clamp(0, 1), mask

    def _fallen(self, visible: Tensor, warped: Tensor, mask: Tensor) -> bool:
        agreement = edge_agreement(visible, warped, mask)
        if self._usual is None:
            self._usual = agreement
        fallen = agreement < self.policy.fall * self._usual
        if not fallen:  # the usual value follows the scene, slowly
            self._usual += 0.05 * (agreement - self._usual)
        return fallen

    def _first(self, visible: Tensor, infrared: Tensor, size: tuple[int, int]) -> Corners | None:
        places, score, trusted = self._register(visible, infrared)
        self._note(0.0, score, trusted, "used" if trusted else "failed", size)
        return places if trusted else None

    def _estimate(self, visible: Tensor, infrared: Tensor, time: float, fallen: bool) -> None:
        places, score, trusted = self._register(visible, infrared)
        diagonal = math.hypot(*visible.shape[-2:])
        current = self.corners
        outcome, again = "used", False
        if not trusted:
            outcome = "failed"
        elif current is None or self._distance(places, current, diagonal) < 1:
            self._window = [*self._window, places][-self.policy.window :]
            self._odd = None
        elif self._odd is not None and self._distance(places, self._odd, diagonal) < 1:
            outcome, again = "new", True
            self._window, self._odd, self._usual = [self._odd, places], None, None
        else:
            outcome, again = "odd", True
            self._odd = places
        if fallen and outcome in ("used", "failed"):
            self._usual = None  # the scene has changed, not the cameras
        self._pause = self.policy.soonest if again else min(2 * self._pause, self.policy.latest)
        self._next = time + self._pause
        self._note(time, score, trusted, outcome, (int(infrared.shape[-2]), int(infrared.shape[-1])))

    def _register(self, visible: Tensor, infrared: Tensor) -> tuple[Corners, float, bool]:
        registration = self._registrar(visible, infrared)
        if registration.flow is not None:
            raise InputError("a video is registered by one transform for the clip; choose an affine or projective one")
        places = transform_points(registration.matrix, corners((int(infrared.shape[-2]), int(infrared.shape[-1]))))
        return places, registration.score, registration.trusted and bool(np.isfinite(places).all())

    def _distance(self, first: Corners, second: Corners, diagonal: float) -> float:
        """Mean distance of corners in units of what still counts as the same transform."""
        return distance(first, second) / (self.policy.agree * diagonal)

    def _note(
        self, time: float, score: float, trusted: bool, outcome: str, source: tuple[int, int] | None = None
    ) -> None:
        target = self.corners
        matrix = None if target is None or source is None else matrix_of(target, source).tolist()
        self.estimates.append(Estimate(round(time, 3), score, trusted, outcome, matrix))

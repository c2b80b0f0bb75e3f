"""How well pairs are registered: errors in pixels against known transforms, on real and on warped pairs.

The corner error is the mean distance, in pixels of the visible image, between where a method and the truth put the four
corners of the infrared frame. Corners that lie outside the visible image count in full: an error that grows towards the
border is not hidden by the crop. Of a dense flow only the inside of the visible image is known, so there (and for every
method beside) the grid error is given: the mean distance over the visible pixels that the infrared image covers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ldfusion.data.catalog import read_split, select_pairs
from ldfusion.errors import InputError
from ldfusion.evaluation.report import NOT_AVAILABLE
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.registration.methods import Registrar
from ldfusion.registration.misalign import MisalignmentRange
from ldfusion.registration.warp import (
    Matrix,
    Size,
    apply_registration,
    corners,
    inside,
    invert,
    registration_points,
    sampling_points,
    transform_points,
)
from ldfusion.types import Registration

LIMITS = (3, 5, 10, 20)
"""Pixels under which shares are counted."""
SUCCESSES = (10.0, 20.0)
"""Errors in pixels below which a pair counts as registered, for the precision and recall of `trusted`."""
_GRID_STEP = 8


@dataclass(frozen=True)
class TruePair:
    """A pair whose transform is known: visible (1, 3, H, W), infrared (1, 1, h, w), infrared -> visible pixels."""

    name: str
    visible: Tensor
    infrared: Tensor
    truth: Matrix


@dataclass(frozen=True)
class Outcome:
    """What a method made of one pair; ``corner`` is infinite where it sends a corner to infinity, NaN for a flow."""

    name: str
    corner: float
    grid: float
    seconds: float
    score: float
    trusted: bool

    @property
    def error(self) -> float:
        """Corner error, or the grid error of a method without a matrix."""
        return self.grid if math.isnan(self.corner) else self.corner


def corner_error(estimate: Matrix, truth: Matrix, moving: Size) -> float:
    """Mean distance in fixed pixels between both images of the corners of the moving frame; see the module."""
    points = corners(moving)
    distance = np.linalg.norm(transform_points(estimate, points) - transform_points(truth, points), axis=1)
    homogeneous = np.column_stack([points, np.ones(4)]) @ estimate[2] * np.sign(estimate[2, 2])
    return float(distance.mean()) if (homogeneous > 0).all() and np.isfinite(distance).all() else math.inf


def grid_error(registration: Registration, truth: Matrix, moving: Size, fixed: Size) -> float:
    """Mean distance in fixed pixels over every eighth visible pixel that the infrared image truly covers."""
    seen = inside(sampling_points(truth, fixed), moving)[::_GRID_STEP, ::_GRID_STEP].flatten().numpy()
    points = registration_points(registration, fixed)[::_GRID_STEP, ::_GRID_STEP].flatten(0, 1).double().numpy()
    own = sampling_points(truth, fixed)[::_GRID_STEP, ::_GRID_STEP].flatten(0, 1).double().numpy()
    there = transform_points(truth, points[seen]) - transform_points(truth, own[seen])
    distance = np.linalg.norm(there, axis=1)
    return float(np.where(np.isfinite(distance), distance, 1e4).clip(max=1e4).mean()) if len(distance) else math.nan


def raw_pairs(root: Path, held_out: bool, limit: int = 0) -> Iterator[TruePair]:
    """RoadScene's unregistered infrared frames with their visible crops, of the validation split or of the others.

    Raises:
        InputError: ``roadscene/raw_to_crop_homography.json`` or a file it names is missing below ``root``.
    """
    base = root / "roadscene"
    file = base / "raw_to_crop_homography.json"
    if not file.is_file():
        raise InputError(f"{file}: no such file; the registration benchmark needs the true homographies of RoadScene")
    truths = json.loads(file.read_text(encoding="utf-8"))
    split = {name.split("/", 1)[1] for name in read_split(root / "splits" / "val.txt") if name.startswith("roadscene/")}
    stems = [stem for stem in truths if (stem in split) == held_out]
    pictures = {path.stem: path for path in (base / "visible").iterdir()}
    for stem in stems[: limit or None]:
        visible, _ = read_visible(pictures.get(stem, base / "visible" / f"{stem}.jpg"))
        infrared = read_infrared(base / "infrared_raw" / f"{stem}.png")
        yield TruePair(f"roadscene/{stem}", visible[None], infrared[None], np.array(truths[stem]["raw_to_crop"]))


def warped_pairs(root: Path, limit: int = 0, seed: int = 0) -> Iterator[TruePair]:
    """The registered validation pairs, each infrared image moved by a homography drawn from the seed and its number.

    The defaults of `MisalignmentRange`; pixels without data are black.
    """
    for number, files in enumerate(select_pairs(root, ["roadscene", "msrs"], "splits/val.txt", limit)):
        visible, infrared = read_visible(files.visible)[0][None], read_infrared(files.infrared)[None]
        size: Size = (infrared.shape[-2], infrared.shape[-1])
        away = MisalignmentRange().draw(np.random.default_rng([seed, number]), size)
        moved, mask = apply_registration(Registration(away, "homography", 1.0, True), infrared, size)
        yield TruePair(files.name, visible, moved * mask, invert(away))


def measure(registrar: Registrar, pairs: Iterable[TruePair]) -> list[Outcome]:
    """Register every pair and compare with the truth; the time is that of the call alone."""
    outcomes = []
    for pair in pairs:
        start = time.perf_counter()
        found = registrar(pair.visible, pair.infrared)
        seconds = time.perf_counter() - start
        moving: Size = (pair.infrared.shape[-2], pair.infrared.shape[-1])
        fixed: Size = (pair.visible.shape[-2], pair.visible.shape[-1])
        corner = math.nan if found.model == "flow" else corner_error(found.matrix, pair.truth, moving)
        grid = grid_error(found, pair.truth, moving, fixed)
        outcomes.append(Outcome(pair.name, corner, grid, seconds, found.score, found.trusted))
    return outcomes


def precision_recall(outcomes: Sequence[Outcome], limit: float) -> tuple[float, float]:
    """Of the trusted results the share under ``limit``, and of those under it the trusted share; NaN where none is."""
    good = [o.error < limit for o in outcomes]
    both = sum(g and o.trusted for g, o in zip(good, outcomes, strict=True))
    trusted = sum(o.trusted for o in outcomes)
    return (both / trusted if trusted else math.nan), (both / sum(good) if any(good) else math.nan)


def summary(method: str, outcomes: Sequence[Outcome]) -> list[str]:
    """One line of the table; see `HEADING`."""
    if not outcomes:
        return [method, "0", *[NOT_AVAILABLE] * (len(HEADING) - 2)]
    errors = np.array([o.error for o in outcomes])
    grid = np.array([o.grid for o in outcomes])
    flow = all(math.isnan(o.corner) for o in outcomes)
    figures = [
        NOT_AVAILABLE if flow else f"{np.median(errors):.1f}",
        NOT_AVAILABLE if flow else f"{errors.mean():.1f}",
        f"{np.median(grid):.1f}",
        *(f"{100 * (errors < limit).mean():.0f}%" for limit in LIMITS),
        f"{np.mean([o.seconds for o in outcomes]):.2f}",
        *("/".join(_share(value) for value in precision_recall(outcomes, limit)) for limit in SUCCESSES),
    ]
    return [method, str(len(outcomes)), *figures]


def _share(value: float) -> str:
    return NOT_AVAILABLE if math.isnan(value) else f"{value:.2f}"


_TRUST = [f"P/R@{limit:g}" for limit in SUCCESSES]
HEADING = ["method", "pairs", "median", "mean", "grid", *(f"<{limit}px" for limit in LIMITS), "s/pair", *_TRUST]
"""Columns: corner error in visible pixels (median, mean), median grid error, shares of pairs under a corner error,
seconds, precision / recall of `trusted` for corner errors under 10 and 20 pixels."""


def thread_count(threads: int) -> None:
    """Use so many CPU threads in torch and OpenCV."""
    import cv2

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)

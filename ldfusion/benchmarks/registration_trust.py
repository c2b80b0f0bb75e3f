"""Whether the score of a registration keeps its word, on pictures of every shape, and what registering them takes.

The pairs are rendered ones under a drawn misalignment and real unregistered ones with a true homography, both cut to
strips of an aspect from 1:1 to 1:60. A registration is right when it is off by less than `RIGHT` of the longer side
over what the infrared image covers. A reliability table says what share was right where the score was what; a score
that keeps its word is right as often as it says.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ldfusion.errors import InputError
from ldfusion.evaluation.registration import TruePair, corner_error, grid_error, thread_count
from ldfusion.evaluation.report import NOT_AVAILABLE, plain
from ldfusion.io.files import atomic_write
from ldfusion.io.image import read_infrared, read_visible
from ldfusion.registration import load_registrar
from ldfusion.registration.misalign import MisalignmentRange
from ldfusion.registration.score import RIGHT
from ldfusion.registration.warp import Matrix, Size, corners, invert, transform_points, warp_image

ASPECTS = (1, 2, 4, 8, 16, 32, 60)
BINS = (0.0, 0.05, 0.5, 0.9, 0.99, 1.0001)
"""Scores between which reliability is counted."""
TRUTHS = "homographies.json"
_LONGER = 960
"""Longer side of a rendered strip."""
_MARGIN = 0.12
"""Of the longer side, by which the infrared strip reaches beyond the visible one at each end."""


@dataclass(frozen=True)
class Trial:
    """One pair: errors are shares of the longer side of the visible image."""

    kind: str
    name: str
    aspect: int
    size: tuple[int, int]
    grid: float
    corner: float
    score: float
    trusted: bool

    @property
    def right(self) -> bool:
        """Whether it is off by less than `RIGHT`."""
        return self.grid < RIGHT


def strip(pair: TruePair, aspect: int, rng: np.random.Generator) -> TruePair:
    """A strip of a pair, as wide as 1 : ``aspect`` is high or the other way, and its infrared image around it."""
    height, width = pair.visible.shape[-2:]
    wide = width >= height
    longer, shorter = max(height, width), min(height, width)
    thin = max(32, min(shorter, round(longer / aspect)))
    long = min(longer, thin * aspect)
    at = int(rng.integers(0, shorter - thin + 1)), int(rng.integers(0, longer - long + 1))
    (top, left), (h, w) = (at, (thin, long)) if wide else (at[::-1], (long, thin))
    visible = pair.visible[..., top : top + h, left : left + w]
    edges = corners((h, w)) + np.array([left, top])
    seen = transform_points(invert(pair.truth), edges)
    margin = _MARGIN * np.ptp(seen, axis=0).max()
    low = np.maximum(np.floor(seen.min(0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(seen.max(0) + margin), (pair.infrared.shape[-1] - 1, pair.infrared.shape[-2] - 1))
    right, bottom = (int(v) for v in high)
    infrared = pair.infrared[..., low[1] : bottom + 1, low[0] : right + 1]
    truth = _shift(-left, -top) @ pair.truth @ _shift(int(low[0]), int(low[1]))
    return TruePair(f"{pair.name} 1:{aspect}", visible, infrared, truth / truth[2, 2])


def rendered_pairs(count: int, longer: int = _LONGER) -> Iterator[TruePair]:
    """Rendered registered scenes whose infrared image is moved by a drawn homography."""
    from ldfusion.rendering import render_scene

    for seed in range(count):
        scene = render_scene(70_000 + seed, size=(3 * longer // 4, longer), registered=True)
        visible, infrared = (torch.from_numpy(image)[None] for image in (scene.visible, scene.infrared))
        size: Size = (infrared.shape[-2], infrared.shape[-1])
        away = MisalignmentRange(rotation=4.0, shift=0.04, perspective=0.02).draw(np.random.default_rng(seed), size)
        yield TruePair(f"rendered-{seed}", visible, warp_image(infrared, away, size), invert(away))


def true_pairs(folder: Path) -> Iterator[TruePair]:
    """Real unregistered pairs: ``visible/`` and ``infrared/`` and `TRUTHS` with 1-based homographies.

    Raises:
        InputError: they are not there.
    """
    file = folder / TRUTHS
    if not file.is_file():
        raise InputError(f"{file}: no such file; give a folder of unregistered pairs with their true homographies")
    for name, entry in json.loads(file.read_text(encoding="utf-8")).items():
        if isinstance(entry, dict):
            given = np.array(entry["infrared_to_visible_homography_1based_xy"])
            visible = read_visible(folder / "visible" / f"{name}.png")[0][None]
            infrared = read_infrared(folder / "infrared" / f"{name}.png")[None]
            yield TruePair(name, visible, infrared, _shift(-1, -1) @ given @ _shift(1, 1))


def trials(pairs: Iterator[TruePair], kind: str, aspects: Sequence[int], method: str = "auto") -> list[Trial]:
    """Register strips of every aspect of some pairs; each aspect of a pair is cut elsewhere."""
    registrar = load_registrar(method)
    found = []
    for number, whole in enumerate(tqdm(list(pairs), unit="pair", desc=kind, disable=not sys.stderr.isatty())):
        for aspect in aspects:
            pair = whole if aspect == 1 else strip(whole, aspect, np.random.default_rng([number, aspect]))
            size: Size = (pair.visible.shape[-2], pair.visible.shape[-1])
            moving: Size = (pair.infrared.shape[-2], pair.infrared.shape[-1])
            if min(*size, *moving) < 32:
                continue
            result = registrar(pair.visible, pair.infrared)
            grid = grid_error(result, pair.truth, moving, size) / max(size)
            corner = corner_error(result.matrix, pair.truth, moving) / max(size)
            found.append(Trial(kind, whole.name, aspect, size, grid, corner, result.score, result.trusted))
    return found


def reliability(found: Sequence[Trial]) -> list[list[str]]:
    """Lines of score, pairs, mean score, share right, largest error."""
    lines = [["score", "pairs", "mean score", "right", "largest error"]]
    for low, high in pairwise(BINS):
        inside = [t for t in found if low <= t.score < high]
        figures = [NOT_AVAILABLE] * 3
        if inside:
            right, worst = np.mean([t.right for t in inside]), max(t.grid for t in inside)
            figures = [f"{np.mean([t.score for t in inside]):.2f}", f"{right:.2f}", f"{100 * worst:.1f} %"]
        lines.append([f"{low:.2f}..{min(high, 1):.2f}", str(len(inside)), *figures])
    return lines


def by_aspect(found: Sequence[Trial]) -> list[list[str]]:
    """Lines of kind and aspect: pairs, how many trusted, their median and largest error, the right ones not trusted."""
    lines = [
        ["pairs of", "aspect", "pairs", "trusted", "of these right", "median error", "largest", "right, not trusted"]
    ]
    for kind in dict.fromkeys(t.kind for t in found):
        for aspect in dict.fromkeys(t.aspect for t in found if t.kind == kind):
            here = [t for t in found if (t.kind, t.aspect) == (kind, aspect)]
            trusted = [t for t in here if t.trusted]
            errors = [100 * t.grid for t in trusted] or [math.nan]
            figures = [f"{np.median(errors):.2f} %", f"{max(errors):.2f} %"] if trusted else [NOT_AVAILABLE] * 2
            missed = sum(t.right and not t.trusted for t in here)
            right = str(sum(t.right for t in trusted))
            lines.append([kind, f"1:{aspect}", str(len(here)), str(len(trusted)), right, *figures, str(missed)])
    return lines


def whole_truths(found: Sequence[Trial]) -> list[list[str]]:
    """One line for each real pair at its own shape, in pixels."""
    lines = [["pair", "visible", "error [px]", "corners [px]", "score", "trusted"]]
    for t in found:
        if t.kind == "real" and t.aspect == 1:
            height, width = t.size
            errors = [f"{max(t.size) * value:.1f}" for value in (t.grid, t.corner)]
            lines.append([t.name, f"{width}x{height}", *errors, f"{t.score:.2f}", "yes" if t.trusted else "no"])
    return lines


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--truth", type=Path, help="folder of real unregistered pairs with true homographies")
    parser.add_argument("--rendered", type=int, default=24, help="rendered scenes (24)")
    parser.add_argument("--aspects", type=int, nargs="+", default=list(ASPECTS), help="1 : N (1 2 4 8 16 32 60)")
    parser.add_argument("--method", default="auto", help="registration method (auto)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures of every pair")


def run(args: argparse.Namespace) -> str:
    """The tables as text."""
    thread_count(args.threads)
    found = trials(rendered_pairs(args.rendered), "rendered", args.aspects, args.method)
    if args.truth is not None:
        found += trials(true_pairs(args.truth), "real", args.aspects, args.method)
    if args.output is not None:
        with atomic_write(args.output) as temporary:
            temporary.write_text(json.dumps([asdict(t) for t in found], indent=1) + "\n", encoding="utf-8")
    blocks = [
        f"Errors are shares of the longer side, over what the infrared image covers; right: under {RIGHT:.2%}.",
        plain(reliability(found)),
        plain(by_aspect(found)),
    ]
    return "\n\n".join([*blocks, *([plain(whole_truths(found))] if args.truth is not None else [])])

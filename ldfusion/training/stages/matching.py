"""Stage ``matching``: descriptors of visible and infrared images that agree where both show the same place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldfusion.config import Experiment, check_arguments
from ldfusion.io.color import luma
from ldfusion.registration.correspond import cell_centres
from ldfusion.registration.descriptors import MULTIPLE, STRIDE, MatchingNetwork
from ldfusion.registration.warp import Matrix, inside, invert, sample, sampling_points
from ldfusion.training.stages import Measured, Stage, check_crop


@dataclass
class MatchingLoss:
    """What a step draws. Angles in degrees; a side of ``margin`` is cut off the sample on each border."""

    margin: float = 0.1
    """Share of the sample's height and width left of and right of (above and below) the window that is matched."""
    rotation: float = 12.0
    """Largest rotation between the two images."""
    scale: float = 0.25
    """Largest logarithm of the scale between them."""
    perspective: float = 0.08
    """Largest relative change of scale from the middle to a border."""
    shift: float = 0.12
    """Largest shift, share of the window."""
    rows: int = 384
    """Positions of each image whose match is looked for among all of the other image."""
    invert: float = 0.1
    """Share of infrared images shown black-hot."""
    grey: float = 0.2
    """Share of visible images without colour."""
    black: float = 0.5
    """Share of infrared images that are black beyond their border, as warped ones are; the others repeat it."""


RADII = (4, 8, 16)
"""Pixels within which a match is counted."""


class MatchingStage(Stage[MatchingNetwork]):
    """Trains a `MatchingNetwork` on registered pairs under random homographies.

    The loss of a position is the cross-entropy between its softmax over all positions of the other image and the truth,
    spread bilinearly over the four cells around it, in both directions.
    """

    sheet = "matching.png"

    def __init__(self, experiment: Experiment) -> None:
        model, loss, data = experiment.model, experiment.loss, experiment.data
        check_arguments(MatchingNetwork.__init__, model, "model")
        check_arguments(MatchingLoss, loss, "loss")
        check_crop(data, MULTIPLE)
        self.settings = MatchingLoss(**loss)
        self.network = MatchingNetwork(**model)

    def training_step(self, network: nn.Module, batch: dict[str, Any], step: int) -> dict[str, Tensor]:
        """Cross entropy of descriptors (B, D, h, w) in both directions, and how many of them agree."""
        visible, infrared, truth = self.warped(batch)
        (dv, kv), (di, ki) = network(visible, infrared)
        rng = np.random.default_rng(int(batch["seed"][0]))
        back = [invert(matrix) for matrix in truth]
        with torch.autocast(dv.device.type, enabled=False):  # half precision would round pixel positions
            there = _cross_entropy(dv, kv, di, truth, rng, self.settings.rows)
            here = _cross_entropy(di, ki, dv, back, rng, self.settings.rows)
        return {"loss": (there + here) / 2, "kappa": torch.cat([kv, ki]).detach().mean()}

    def warped(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor, list[Matrix]]:
        """Windows (B, 3, h, w) and (B, 1, h, w) of a batch, each under its own homography, and visible -> infrared."""
        s = self.settings
        height, width = batch["visible"].shape[-2:]
        size = (_window(height, s.margin), _window(width, s.margin))
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        matrices = []
        for k, seed in enumerate(batch["seed"].tolist()):
            rng = np.random.default_rng(seed)
            image = batch["infrared"][k : k + 1]
            colour = batch["visible"][k : k + 1]
            if rng.random() < s.invert:
                image = 1 - image
            if rng.random() < s.grey:
                colour = luma(colour).expand(-1, 3, -1, -1)
            to_visible = _draw(rng, (height, width), size, 0.15 * s.rotation, 0.3 * s.scale, 0, s.shift)
            to_infrared = _draw(rng, (height, width), size, s.rotation, s.scale, s.perspective, s.shift)
            black = rng.random() < s.black
            for view, source, to_source in ((views[0], colour, to_visible), (views[1], image, to_infrared)):
                points = sampling_points(invert(to_source), size).to(source.device)
                seen = sample(source, points)
                view.append(seen * inside(points, (height, width)) if black and source is image else seen)
            matrices.append(invert(to_infrared) @ to_visible)
        return torch.cat(views[0]), torch.cat(views[1]), matrices

    def measure(self, network: MatchingNetwork, batch: dict[str, Any], number: int, shown: bool) -> Measured:
        """How far the best match over the whole image is from the truth, pixels, for all positions and for the surer
        quarter (largest kappa); and both windows, kappa of the visible one, its correct matches.
        """
        visible, infrared, truth = self.warped(batch)
        (dv, kv), (di, _) = network(visible, infrared)
        h, w = dv.shape[-2:]
        cells = cell_centres(h, w, dv.device)
        target, valid = _targets(truth[0], cells, h, w)
        best = (dv[0].flatten(1).T @ di[0].flatten(1)).argmax(1)
        error = torch.where(valid, (cells[best] - target).norm(dim=-1), torch.nan)
        sure = valid & (kv[0].flatten() >= kv.flatten().quantile(0.75))
        values = {
            f"{name}within_{r}px": error[kept] < r for name, kept in (("", valid), ("sure_", sure)) for r in RADII
        }
        if not shown:
            return Measured(values)
        maps = [kv[0] / 40, torch.exp(-error.nan_to_num(99).square() / 128).view(1, h, w)]
        maps = [F.interpolate(m[None].float(), scale_factor=STRIDE)[0].expand(3, -1, -1) for m in maps]
        return Measured(values, torch.cat([visible[0], infrared[0].expand(3, -1, -1), *maps], dim=2))


def _window(side: int, margin: float) -> int:
    return max(MULTIPLE, round(side * (1 - 2 * margin) / MULTIPLE) * MULTIPLE)


def _draw(
    rng: np.random.Generator,
    source: tuple[int, int],
    size: tuple[int, int],
    rotation: float,
    scale: float,
    perspective: float,
    shift: float,
) -> Matrix:
    """Random homography from the pixels of a window of ``size`` to those of a frame of size ``source``."""
    angle = math.radians(rng.uniform(-rotation, rotation))
    zoom = math.exp(rng.uniform(-scale, scale))
    px, py = rng.uniform(-perspective, perspective, 2) * 2 / np.array(size[::-1])
    dx, dy = rng.uniform(-shift, shift, 2) * np.array(size[::-1])
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    centre = np.array([[1, 0, -(size[1] - 1) / 2], [0, 1, -(size[0] - 1) / 2], [0, 0, 1]])
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [px, py, 1]])
    place = np.array([[1, 0, (source[1] - 1) / 2 + dx], [0, 1, (source[0] - 1) / 2 + dy], [0, 0, 1]])
    return np.asarray(place @ turn @ centre)


def _targets(matrix: Matrix, points: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where (N, 2) pixels lie in the other image, and whether that is on its grid of ``height`` x ``width`` cells."""
    m = torch.from_numpy(matrix).to(points)
    mapped = torch.cat([points, torch.ones_like(points[:, :1])], 1) @ m.T
    target = mapped[:, :2] / mapped[:, 2:]
    cell = (target - (STRIDE - 1) / 2) / STRIDE
    limits = torch.tensor([width - 1, height - 1], device=points.device)
    valid = ((cell >= 0) & (cell <= limits)).all(1) & (mapped[:, 2] > 0)
    return target, valid


def _cross_entropy(
    first: Tensor, kappa: Tensor, second: Tensor, matrices: list[Matrix], rng: np.random.Generator, rows: int
) -> Tensor:
    """Mean over random positions of ``first`` that are seen in ``second``; descriptors (B, dim, h, w)."""
    h, w = second.shape[-2:]
    centres = cell_centres(first.shape[-2], first.shape[-1], first.device)
    total, count = first.new_zeros(()), 0
    for k, matrix in enumerate(matrices):
        chosen = torch.from_numpy(rng.permutation(len(centres))[:rows]).to(first.device)
        target, valid = _targets(matrix, centres[chosen], h, w)
        chosen, cell = chosen[valid], (target[valid] - (STRIDE - 1) / 2) / STRIDE
        if len(chosen) == 0:
            continue
        rows_of = first[k].flatten(1)[:, chosen].float()
        logits = kappa[k].flatten()[chosen, None].float() * (rows_of.T @ second[k].flatten(1).float())
        # the truth lies between four cells: bilinear weights, so that the peak's shape tells the fraction of a cell
        x0, y0 = cell[:, 0].floor().clamp(0, w - 2), cell[:, 1].floor().clamp(0, h - 2)
        fx, fy = cell[:, 0] - x0, cell[:, 1] - y0
        index = (y0 * w + x0).long()[:, None] + torch.tensor([0, 1, w, w + 1], device=first.device)
        weight = torch.stack([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], 1)
        total = total - (logits.log_softmax(1).gather(1, index) * weight).sum()
        count += len(chosen)
    return total / max(count, 1)

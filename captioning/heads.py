"""Scene facts as tensors: what the fact heads of the captioner predict, and the targets they learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from captioning.facts import Facts, most_salient
from captioning.lexicon import CLASSES, DISTANCES, LIGHTS, POSITIONS, class_of

IGNORE = -100
"""Target index of what the facts do not tell."""


@dataclass
class FactLogits:
    """Logits of the scene facts.

    `grid` (B, classes, positions, distances): is an object of this class there; `light` (B, 3); `target_class`
    (B, classes), `target_position` (B, 3), `target_distance` (B, 3): of the main target.
    """

    grid: Tensor
    light: Tensor
    target_class: Tensor
    target_position: Tensor
    target_distance: Tensor

    def probabilities(self) -> Tensor:
        """All facts as one vector of probabilities (B, `FACT_COUNT`)."""
        choices = (self.light, self.target_class, self.target_position, self.target_distance)
        return torch.cat([self.grid.sigmoid().flatten(1), *(x.softmax(1) for x in choices)], dim=1)

    def read(self) -> list[dict[str, Any]]:
        """Per image: `light`, `classes` (class -> probability of being present) and `target` (its likeliest facts)."""
        present = self.grid.sigmoid().flatten(2).amax(2)
        return [
            {
                "light": LIGHTS[int(self.light[row].argmax())],
                "classes": {name: float(p) for name, p in zip(CLASSES, present[row], strict=True)},
                "target": {
                    "name": CLASSES[int(self.target_class[row].argmax())],
                    "position": POSITIONS[int(self.target_position[row].argmax())],
                    "distance": DISTANCES[int(self.target_distance[row].argmax())],
                },
            }
            for row in range(len(present))
        ]


GRID_COUNT = len(CLASSES) * len(POSITIONS) * len(DISTANCES)
FACT_COUNT = GRID_COUNT + len(LIGHTS) + len(CLASSES) + len(POSITIONS) + len(DISTANCES)


class FactHeads(nn.Module):
    """Facts from fine features (B, C, h, w).

    A class at a distance is looked for at every place with the same weights; each third of the image then takes its
    smooth maximum (log-mean-exp) and the whole view may add evidence of its own.
    """

    def __init__(self, channels: int, hidden: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.evidence = nn.Conv2d(channels, len(CLASSES) * len(DISTANCES), 1)
        self.context = nn.Sequential(nn.Linear(2 * channels, hidden), nn.SiLU(), nn.Dropout(dropout))
        self.context_grid = nn.Linear(hidden, GRID_COUNT)
        self.light = nn.Linear(hidden, len(LIGHTS))
        self.target = nn.Sequential(
            nn.Linear(hidden + GRID_COUNT, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, len(CLASSES) + len(POSITIONS) + len(DISTANCES)),
        )
        nn.init.zeros_(self.context_grid.weight)
        nn.init.constant_(self.context_grid.bias, -2.0)  # most cells of the grid are empty

    def forward(self, features: Tensor) -> FactLogits:
        """Scores of all facts from features (B, C, h, w)."""
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        context = self.context(pooled)
        evidence = self.evidence(features)
        thirds = torch.stack([_smooth_max(part) for part in evidence.tensor_split(len(POSITIONS), dim=3)], dim=-1)
        grid = thirds.unflatten(1, (len(CLASSES), len(DISTANCES))).transpose(2, 3)
        grid = grid + self.context_grid(context).view_as(grid)
        target = self.target(torch.cat([context, grid.flatten(1).sigmoid()], dim=1))
        name, position, distance = target.split([len(CLASSES), len(POSITIONS), len(DISTANCES)], dim=1)
        return FactLogits(grid, self.light(context), name, position, distance)


def _smooth_max(x: Tensor) -> Tensor:
    """(B, C, h, w) to (B, C): log of the mean of the exponential, sharpened fourfold."""
    flat = x.flatten(2) * 4.0
    return (flat.logsumexp(2) - torch.log(torch.tensor(float(flat.shape[2])))) / 4.0


def fact_targets(facts: Sequence[Facts], device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """What the heads should say of each image: `grid` float, the other keys of `FactLogits` int64 (B,)."""
    grid = torch.zeros(len(facts), len(CLASSES), len(POSITIONS), len(DISTANCES))
    choices: dict[str, list[int]] = {"light": [], "target_class": [], "target_position": [], "target_distance": []}
    for row, scene in enumerate(facts):
        for thing in scene["objects"]:
            name = class_of(thing["name"])
            if name is not None:
                grid[
                    row, CLASSES.index(name), POSITIONS.index(thing["position"]), DISTANCES.index(thing["distance"])
                ] = 1
        main = most_salient(scene)
        name = class_of(main["name"]) if main is not None else None
        choices["light"].append(LIGHTS.index(scene["light"]) if scene["light"] in LIGHTS else IGNORE)
        choices["target_class"].append(IGNORE if name is None else CLASSES.index(name))
        choices["target_position"].append(IGNORE if main is None else POSITIONS.index(main["position"]))
        choices["target_distance"].append(IGNORE if main is None else DISTANCES.index(main["distance"]))
    return {"grid": grid.to(device), **{key: torch.tensor(value, device=device) for key, value in choices.items()}}


def fact_vector(targets: dict[str, Tensor]) -> Tensor:
    """The true facts in the layout of `FactLogits.probabilities`, (B, `FACT_COUNT`); what is untold is all zeros."""
    counts = {"light": len(LIGHTS), "target_class": len(CLASSES)}
    counts |= {"target_position": len(POSITIONS), "target_distance": len(DISTANCES)}
    told = [
        F.one_hot(targets[name].clamp(min=0), count) * (targets[name] != IGNORE)[:, None]
        for name, count in counts.items()
    ]
    return torch.cat([targets["grid"].flatten(1), *(x.to(targets["grid"]) for x in told)], dim=1)


def fact_losses(logits: FactLogits, targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean losses per fact: binary cross-entropy summed over the grid's cells of a class, cross-entropy of the others.

    Each is a scalar; terms whose facts are all untold are 0.
    """
    per_cell = F.binary_cross_entropy_with_logits(logits.grid.float(), targets["grid"], reduction="none")
    losses = {"grid": per_cell.sum((2, 3)).mean()}
    for name in ("light", "target_class", "target_position", "target_distance"):
        each = F.cross_entropy(getattr(logits, name).float(), targets[name], ignore_index=IGNORE, reduction="sum")
        losses[name] = each / (targets[name] != IGNORE).sum().clamp(min=1)
    return losses

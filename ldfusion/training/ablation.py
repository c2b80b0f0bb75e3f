"""The ablation of the fusion network: the same run with one part taken away at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ldfusion.config import load
from ldfusion.training.loop import train

VARIANTS: dict[str, tuple[str, ...]] = {
    "full": (),
    "without depth loss": ("loss.depth=0",),
    "without text": ("model.guided=false",),
    "without diffusion features": ("model.features=plain",),
}
"""Row of the table -> overrides of the configuration. The last trains a plain encoder of the same size along."""
COLUMNS = ("EN", "MI", "VIF", "SF", "SD", "Qabf", "right/loss", "right/depth", "wrong/loss", "lift_of_named")


def ablate(config: str | Path, output: Path, overrides: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Train and validate every variant with the same configuration, data and seed; finished variants are not repeated.

    Returns:
        Figures of the last validation by variant; also written to ``output/ablation.json``.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, changes in VARIANTS.items():
        folder = output / name.replace(" ", "-")
        rows[name] = train(load(config, [*overrides, *changes, f"output={folder}"]))
        (output / "ablation.json").write_text(json.dumps(rows, indent=1))
    return rows


def table(rows: dict[str, dict[str, float]]) -> str:
    """The figures as a markdown table; n/a where a variant has no such figure."""
    lines = ["| variant | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, figures in rows.items():
        cells = [f"{figures[c]:.3f}" if c in figures else "n/a" for c in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

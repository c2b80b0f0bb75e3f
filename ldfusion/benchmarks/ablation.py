"""The ablation of the fusion network: the same run with one part taken away at a time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ldfusion.benchmarks.base import add_run
from ldfusion.config import check_keys
from ldfusion.recipes import load
from ldfusion.training.loop import train_once

PARTS: dict[str, tuple[str, ...]] = {
    "full": (),
    "0 noise levels": ("model.timesteps=[]",),
    "3 noise levels": ("model.timesteps=[5,50,100]",),
    "2 noise levels": ("model.timesteps=[5,100]",),
    "the stack alone": ("model.features=none",),
    "plain encoder": ("model.features=plain",),
    "without text": ("model.guided=false",),
}
"""Row of the table -> overrides of the configuration: what the decoder sees. ``plain`` trains an encoder of one size
along, ``none`` leaves it out, and without noise levels the diffusion network is fed once with the clean stack."""
TERMS: dict[str, tuple[str, ...]] = {
    f"without {name}": tuple(f"loss.{term}=0" for term in terms)
    for name, terms in {
        "Laplacian": ("laplacian",),
        "gradient": ("gradient",),
        "maximum": ("maximum",),
        "novelty, Nabf": ("novelty", "Nabf"),
        "outside, clipping": ("outside", "clipping"),
        "smoothness": ("smooth",),
        "glare": ("glare",),
        "pale": ("pale",),
        "colour": ("colour",),
        "region": ("region",),
        "depth": ("depth",),
        "semantic": ("semantic",),
        "language": ("language",),
        "EN": ("EN",),
        "MI": ("MI",),
        "VIF": ("VIF",),
        "SF": ("SF",),
        "SD": ("SD",),
        "Qabf": ("Qabf",),
        "SCD": ("SCD",),
        "floors": ("floor_vif", "floor_mi"),
    }.items()
}
"""The same: one loss term at a time."""
VARIANTS = PARTS | TERMS
COLUMNS = (
    *("EN", "MI", "VIF", "SF", "SD", "Qabf", "SCD", "CC", "Nabf", "clipped"),
    *("right/depth", "right/region", "right/glare", "right/colour", "lift_of_named"),
)


def ablate(
    config: str | Path, output: Path, overrides: Sequence[str] = (), variants: Sequence[str] = tuple(VARIANTS)
) -> dict[str, dict[str, float]]:
    """Train and validate variants with the same configuration, data and seed; finished variants are not repeated.

    Args:
        variants: names of `VARIANTS`.

    Returns:
        Figures of the last validation by variant; also written to ``output/ablation.json``.

    Raises:
        InputError: an unknown variant.
    """
    check_keys(dict.fromkeys(variants), VARIANTS, "ablation")
    rows: dict[str, dict[str, float]] = {}
    for name in variants:
        folder = output / name.replace(",", "").replace(" ", "-")
        rows[name] = train_once(load(config, [*overrides, *VARIANTS[name], f"output={folder}"]))
        (output / "ablation.json").write_text(json.dumps(rows, indent=1))
    return rows


def table(rows: dict[str, dict[str, float]]) -> str:
    """The figures as a markdown table; n/a where a variant has no such figure."""
    lines = ["| variant | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, figures in rows.items():
        cells = [f"{figures[c]:.3f}" if c in figures else "n/a" for c in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", default="fusion")
    parser.add_argument("--variants", help="names with semicolons between (default: all)")
    add_run(parser)


def run(args: argparse.Namespace) -> str:
    """The table as text."""
    args.output.mkdir(parents=True, exist_ok=True)
    variants = VARIANTS if args.variants is None else args.variants.split(";")
    return table(ablate(args.config, args.output, args.overrides, tuple(variants)))

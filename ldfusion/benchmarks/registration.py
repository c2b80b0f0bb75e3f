"""Registration methods on real and on warped pairs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from ldfusion.benchmarks.base import add_data
from ldfusion.benchmarks.registration_baselines import EccRegistrar, LightGlueRegistrar, SiftRegistrar
from ldfusion.config import nearest
from ldfusion.errors import InputError
from ldfusion.evaluation.registration import (
    HEADING,
    Outcome,
    TruePair,
    measure,
    raw_pairs,
    summary,
    thread_count,
    warped_pairs,
)
from ldfusion.evaluation.report import plain
from ldfusion.io.files import atomic_write
from ldfusion.registration import Registrar, load_registrar

REGISTRARS: dict[str, Callable[[], Registrar]] = {
    "identity": lambda: load_registrar("identity"),
    "affine-alone": lambda: load_registrar("affine", polish=False),
    "affine": lambda: load_registrar("affine"),
    "voxelmorph": lambda: load_registrar("voxelmorph"),
    "orientation": lambda: load_registrar("orientation"),
    "refine-affine": lambda: load_registrar("refine", model="affine"),
    "refine": lambda: load_registrar("refine"),
    "edges": lambda: load_registrar("edges"),
    "sift": SiftRegistrar,
    "ecc": EccRegistrar,
    "lightglue": LightGlueRegistrar,
}
"""Column ``method`` of the tables. ``affine`` climbs on from the network's answer, ``affine-alone`` is that answer;
``refine``, ``orientation``, ``sift``, ``lightglue``, ``ecc`` fit a homography."""

SETS = {
    "val": "RoadScene, raw infrared onto visible: validation stems",
    "other": "RoadScene, raw infrared onto visible: the other stems (seen in training)",
    "warped": "registered validation pairs, infrared under random homographies",
    "strangers": "no common content: visible and raw infrared of different validation stems (trusted = wrong)",
}


def _pairs(name: str, root: Path, limit: int) -> Iterable[TruePair]:
    if name == "warped":
        return warped_pairs(root, limit)
    if name == "strangers":
        return _strangers(root, limit)
    return raw_pairs(root, name == "val", limit)


def _strangers(root: Path, limit: int) -> Iterator[TruePair]:
    pairs = list(raw_pairs(root, True, limit))
    for index, pair in enumerate(pairs):
        other = pairs[(index + len(pairs) // 2) % len(pairs)]
        if other is not pair:
            yield TruePair(f"{pair.name} and {other.name}", pair.visible, other.infrared, pair.truth)


def registration_tables(
    root: Path,
    methods: Iterable[str] = tuple(REGISTRARS),
    sets: Iterable[str] = tuple(SETS),
    threads: int = 2,
    limit: int = 0,
    output: Path | None = None,
) -> str:
    """Measure methods on the sets of pairs and return one table a set; a method that is not there is named below.

    Args:
        limit: only so many pairs of each set; 0: all.
        output: a JSON file for the figures of every pair.

    Raises:
        InputError: an unknown method or set, or missing data.
    """
    thread_count(threads)
    for given, known in ((methods, REGISTRARS), (sets, SETS)):
        for name in given:
            if name not in known:
                raise InputError(f"registration benchmark: unknown '{name}'; {nearest(name, known)}")
    registrars: dict[str, Registrar] = {}
    skipped: list[str] = []
    for name in methods:
        try:
            registrars[name] = REGISTRARS[name]()
        except InputError as error:
            skipped.append(f"{name} is skipped: {error}")
    blocks: list[str] = []
    everything: dict[str, dict[str, list[Outcome]]] = {}
    for name in sets:
        found: dict[str, list[Outcome]] = {method: [] for method in registrars}
        for pair in tqdm(list(_pairs(name, root, limit)), unit="pair", desc=name, disable=not sys.stderr.isatty()):
            for method, registrar in registrars.items():
                found[method] += measure(registrar, [pair])
        everything[name] = found
        lines = [summary(method, outcomes) for method, outcomes in found.items()]
        if name == "strangers":
            counts = {method: sum(o.trusted for o in outcomes) for method, outcomes in found.items()}
            lines = [[method, str(len(found[method])), str(count)] for method, count in counts.items()]
            blocks.append(f"{SETS[name]}\n{plain([['method', 'pairs', 'trusted'], *lines])}")
        else:
            blocks.append(f"{SETS[name]}\n{plain([HEADING, *lines])}")
    if output is not None:
        record = {
            name: {method: [dataclasses.asdict(o) for o in outcomes] for method, outcomes in found.items()}
            for name, found in everything.items()
        }
        with atomic_write(output) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    unit = "Errors in visible pixels: corners of the infrared frame (grid: visible pixels); s/pair on the CPU."
    return "\n\n".join([f"{unit} {threads} threads.", *blocks, *skipped])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data(parser)
    parser.add_argument("--methods", nargs="+", help="some of them (default: all)")
    parser.add_argument("--sets", nargs="+", help="val, other, warped, strangers (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit", type=int, default=0, help="pairs of each set (default: all)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for the figures of every pair")


def run(args: argparse.Namespace) -> str:
    """The tables as text."""
    chosen = args.methods or list(REGISTRARS), args.sets or list(SETS)
    return registration_tables(args.data, *chosen, args.threads, args.limit, args.output)

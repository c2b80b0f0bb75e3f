"""The tables of `scripts/benchmark.py registration` and `registered-fusion`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ldfusion.config import nearest
from ldfusion.data.catalog import select_pairs
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
from ldfusion.evaluation.registration_baselines import EccRegistrar, LightGlueRegistrar, SiftRegistrar
from ldfusion.evaluation.report import method_cells, plain
from ldfusion.evaluation.suite import evaluate_tensors
from ldfusion.io.files import atomic_write
from ldfusion.pipeline import LDFusionPipeline
from ldfusion.registration import Registrar, load_registrar
from ldfusion.registration.align import load_pair

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
FUSION_METRICS = ("EN", "MI", "VIF", "SF", "SD", "Qabf")


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


def registered_fusion_table(pipe: LDFusionPipeline, root: Path, limit: int = 0) -> str:
    """Fusing the raw infrared of the validation stems with registration, against fusing the registered infrared.

    The first two rows are measured against the visible and the data set's registered infrared image. Metrics that
    compare pixels (MI, VIF, Qabf) lose there by a shift of a pixel or two, so the third row measures the second one's
    images against the infrared image they were fused from, as registered here. ``difference`` is that of the means to
    the first row in percent.
    """
    registrar = load_registrar()
    fused: dict[str, list[Tensor]] = {"registered infrared": [], "raw infrared, --register": []}
    visible, infrared, aligned, names = [], [], [], []
    trusted = 0
    files = [f for f in select_pairs(root, ["roadscene"], "splits/val.txt", limit)]
    for file in tqdm(files, unit="pair", disable=not sys.stderr.isatty()):
        stem = file.name.split("/", 1)[1]
        registered = load_pair(file.visible, file.infrared, file.name)
        raw = load_pair(
            file.visible, root / "roadscene" / "infrared_raw" / f"{stem}.png", file.name, registrar=registrar
        )
        trusted += raw.registration is not None and raw.registration.trusted
        for name, pair in zip(fused, (registered, raw), strict=True):
            generator = torch.Generator().manual_seed(0)
            fused[name].append(pipe(pair.visible, pair.infrared, generator=generator).fused[0])
        visible.append(registered.visible[0])
        infrared.append(registered.infrared[0])
        aligned.append(raw.infrared[0])
        names.append(file.name)
    table = evaluate_tensors(fused, visible, infrared, names, FUSION_METRICS)
    own = {"the same, its own infrared": fused["raw infrared, --register"]}
    table.methods.update(evaluate_tensors(own, visible, aligned, names, FUSION_METRICS).methods)
    first, *others = table.methods.values()
    cells = method_cells(table)
    for name, row in zip(list(table.methods)[1:], others, strict=True):
        change = []
        for metric in FUSION_METRICS:
            before, after = first.mean(metric), row.mean(metric)
            change.append("n/a" if not before or after is None else f"{100 * (after / before - 1):+.1f}%")
        cells.append([f"difference: {name}", "", *change])
    return f"{plain(cells)}\n{trusted} of {len(files)} registrations trusted; the others are fused as they came"

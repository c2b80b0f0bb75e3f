"""Which files make up the pairs of a data set: rows of ``datasets.yaml`` and split files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ldfusion.config import check_keys, nearest
from ldfusion.errors import InputError

KEYS = ("root", "visible", "infrared", "labels", "prefix")
"""Of a row; the first three are needed."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair; ``name`` is ``dataset/stem``, ``label_set`` says what the ids of its labels mean."""

    name: str
    visible: Path
    infrared: Path
    labels: Path | None = None
    label_set: str = ""

    @property
    def dataset(self) -> str:
        """The data set, the part of the name before the first slash."""
        return self.name.split("/", 1)[0]

    @property
    def stem(self) -> str:
        """The name without the data set."""
        return self.name.split("/", 1)[1]

    @property
    def flat_name(self) -> str:
        """``dataset_stem``, for the pairs of several data sets in one folder."""
        return self.name.replace("/", "_")


def catalog(more: str | Path = "") -> dict[str, dict[str, Any]]:
    """All rows of ``datasets.yaml`` by name, and those of a file of one's own, whose rows come first.

    Raises:
        InputError: no such file, or one whose rows have no ``root``, ``visible`` and ``infrared``, or other keys.
    """
    import yaml

    rows = dict(yaml.safe_load(files("ldfusion.data").joinpath("datasets.yaml").read_text()))
    if not str(more):
        return rows
    try:
        own = yaml.safe_load(Path(more).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"data.catalog: {more} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict) or not all(isinstance(row, dict) for row in own.values()):
        raise InputError(f"data.catalog: {more}: give rows like 'name: {{root: ., visible: vis, infrared: ir}}'")
    for name, row in own.items():
        check_keys(row, KEYS, f"data.catalog: {more}: {name}")
        missing = next((key for key in KEYS[:3] if not isinstance(row.get(key), str)), None)
        if missing is not None:
            raise InputError(f"data.catalog: {more}: {name}: '{missing}' is missing; name a folder")
    return {**rows, **own}


def _stems(root: Path, pattern: str, prefix: str) -> dict[str, Path]:
    """Image files below every folder that matches ``pattern``, by stem (with the wildcard folders in front).

    Raises:
        InputError: two images of one folder share a stem.
    """
    folders = [root / pattern] if "*" not in pattern else sorted(root.glob(pattern))
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        # wildcard parts tell sequences apart; the last part is the modality's own folder name
        lead = "" if "*" not in pattern else "/".join(folder.relative_to(root).parts[:-1]) + "/"
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() not in IMAGE_SUFFIXES or file.name.startswith("."):
                continue
            name = lead + file.stem.removeprefix(prefix)
            if name in found:
                raise InputError(f"{folder}: both {found[name].name} and {file.name}; keep one image for each name")
            found[name] = file
    return found


def find_pairs(root: str | Path, dataset: str, more: str | Path = "") -> list[PairFiles]:
    """All pairs of one row of `catalog`, sorted by name.

    Raises:
        InputError: unknown row, missing folder, or no stem present in both modalities.
    """
    rows = catalog(more)
    if dataset not in rows:
        raise InputError(f"data.datasets: unknown data set '{dataset}'; {nearest(dataset, rows)}")
    row = rows[dataset]
    base = Path(root) / row["root"]
    if not base.is_dir():
        raise InputError(f"{base}: no such folder (data set '{dataset}' below data.root)")
    prefix = row.get("prefix", {})
    visible = _stems(base, row["visible"], prefix.get("visible", ""))
    infrared = _stems(base, row["infrared"], prefix.get("infrared", ""))
    folder, label_set = _label_folder(base, row)
    labels = _stems(base, folder, "") if folder else {}
    both = sorted(visible.keys() & infrared.keys())
    if not both:
        raise InputError(
            f"{base}: no pair found; expected image files of equal names in '{row['visible']}' and '{row['infrared']}'"
        )
    return [
        PairFiles(f"{dataset}/{s}", visible[s], infrared[s], labels.get(s), label_set if s in labels else "")
        for s in both
    ]


def _label_folder(base: Path, row: dict[str, Any]) -> tuple[str, str]:
    """The best folder of masks that is there, and their label set; empty without any."""
    return next(((name, known) for name, known in row.get("labels", {}).items() if (base / name).is_dir()), ("", ""))


def second_best_labels(pairs: Iterable[PairFiles]) -> list[str]:
    """One line for each data set whose masks are not the best ones that it is published with."""
    folders = {pair.dataset: pair.labels.parent for pair in pairs if pair.labels is not None}
    rows = catalog() if folders else {}
    lines = []
    for dataset, folder in folders.items():
        best = next(iter(rows.get(dataset, {}).get("labels", {})), folder.name)
        if folder.name != best:
            lines.append(f"{folder.parent / best}: no such folder; masks of '{dataset}' are those of {folder.name}")
    return lines


def read_split(file: Path) -> list[str]:
    """Names of a split file, one ``dataset/stem`` a line.

    Raises:
        InputError: there is no such file.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such split file (lines 'dataset/stem')")
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def select_pairs(
    root: str | Path, datasets: Sequence[str], split: str, limit: int = 0, more: str | Path = ""
) -> list[PairFiles]:
    """The pairs of ``datasets`` that a split names, in the split's order (an empty split: all pairs).

    Args:
        root: folder of the data sets.
        datasets: rows of `catalog`.
        split: file below the root, lines ``dataset/stem``.
        limit: the first pairs only; 0: all.
        more: file of further rows.

    Raises:
        InputError: a name of the split without files, or nothing selected.
    """
    if not str(root):
        raise InputError("data.root is empty: give the folder of the data sets, e.g. data.root=/path/to/data")
    if not Path(root).is_dir():
        raise InputError(f"{root}: no such folder (data.root)")
    pairs = [pair for name in datasets for pair in find_pairs(root, name, more)]
    if split:
        by_name = {pair.name: pair for pair in pairs}
        names = [n for n in read_split(Path(root) / split) if n.split("/", 1)[0] in datasets]
        missing = [n for n in names if n not in by_name]
        if missing:
            raise InputError(f"{Path(root) / split}: {len(missing)} pairs have no files, the first is '{missing[0]}'")
        pairs = [by_name[n] for n in names]
    if not pairs:
        raise InputError(f"{Path(root) / split}: the split names no pair of {', '.join(datasets)}")
    return pairs[:limit] if limit else pairs

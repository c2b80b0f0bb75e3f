"""Which visible and which infrared file belong together: by equal names, else by the marks that people put on them.

A name is read without suffix, case and the way its accents are encoded. Marks are words like ``vis``, ``rgb``, ``ir``
or ``thermal`` at the beginning or the end of a name, set off by ``_``, ``-``, a blank or a dot; a camera may mark one
of both alone (``FLIR0001`` and ``FLIR0001_RGB``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, overload

from ldfusion.errors import InputError
from ldfusion.io.files import IMAGE_SUFFIXES, images_in, some
from ldfusion.io.marks import WORDS, Modality, fold, split_mark

NamedPair = tuple[str, Path, Path]
_PASSES: tuple[Literal["name", "plain", "key"], ...] = ("name", "plain", "key")
_NO_KIND = "neither its name nor another's tells which is which"


@dataclass(frozen=True)
class PairList(Sequence[NamedPair]):
    """The pairs found, as a sequence of (name, visible file, infrared file), and what was left over.

    Attributes:
        pairs: sorted by name, the visible file's without suffix. A thermal file that holds its own visible photo
            stands on both sides.
        unmatched_visible: names in the visible folder without an infrared image, sorted.
        unmatched_infrared: names in the infrared folder without a visible image, sorted.
        rule: how names were matched, for the user; empty where they were equal.
        subfolders: how many were passed over.
    """

    pairs: tuple[NamedPair, ...]
    unmatched_visible: tuple[str, ...] = field(default=())
    unmatched_infrared: tuple[str, ...] = field(default=())
    rule: str = ""
    subfolders: int = 0

    @overload
    def __getitem__(self, index: int) -> NamedPair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[NamedPair, ...]: ...
    def __getitem__(self, index: int | slice) -> NamedPair | tuple[NamedPair, ...]:
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    def report(self) -> list[str]:
        """One line for each folder that holds names without a partner, and for subfolders; empty when all matched."""
        lines = []
        for own, other, names in (
            ("visible", "infrared", self.unmatched_visible),
            ("infrared", "visible", self.unmatched_infrared),
        ):
            if names:
                noun = "image has" if len(names) == 1 else "images have"
                lines.append(f"{len(names)} {own} {noun} no {other} image of the same name: {some(names)}")
        if self.subfolders:
            noun = "subfolder is" if self.subfolders == 1 else "subfolders are"
            lines.append(f"{self.subfolders} {noun} passed over (--recursive looks into them)")
        return lines


@dataclass(frozen=True)
class _Named:
    """One file: its name for results, that without case, without mark as well, and the mark."""

    path: Path
    name: str
    plain: str
    key: str
    mark: str
    modality: Modality | None


def match_pairs(visible: str | Path, infrared: str | Path | None = None, recursive: bool = False) -> PairList:
    """Find the pairs of two files, two folders, or one folder with both kinds.

    Hidden files and files that are no images (see `IMAGE_SUFFIXES`) are passed over.

    Args:
        visible: file or folder; without ``infrared`` a folder that holds both, as files or in two subfolders, or one
            thermal file with its visible photo inside.
        infrared: file or folder of the same kind.
        recursive: look into subfolders; a name then holds them, joined by ``__``.

    Raises:
        InputError: a path is missing, one is a file and the other a folder, a folder holds no image, names that cannot
            be told apart, or not a single one matches.
    """
    visible = Path(visible)
    for path in (visible, visible if infrared is None else Path(infrared)):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if infrared is None:
        if visible.is_dir():
            return _one_folder(visible, recursive)
        if not _has_photo(visible):
            raise InputError(
                f"{visible} holds no visible photo beside an infrared image; give both images of the pair, or a folder"
            )
        return PairList(((visible.stem, visible, visible),))
    infrared = Path(infrared)
    if visible.is_dir() != infrared.is_dir():
        folder, file = (visible, infrared) if visible.is_dir() else (infrared, visible)
        raise InputError(f"{folder} is a folder but {file} is a file; give two files or two folders")
    if not visible.is_dir():
        return PairList(((visible.stem, visible, infrared),))
    return _two_folders(visible, infrared, recursive)


def _two_folders(visible: Path, infrared: Path, recursive: bool) -> PairList:
    first, passed = _files(visible, recursive)
    second, passed_too = _files(infrared, recursive)
    for files in (first, second):
        _by_key(files, "name")
    found: list[tuple[_Named, _Named]] = []
    marked: list[tuple[_Named, _Named]] = []
    for which in _PASSES:  # equal names, names that differ in case or encoding, marked names
        left = [[f for f in files if f not in done] for files, done in zip((first, second), _sides(found), strict=True)]
        if which == "key":  # what is marked as of the other kind is no partner
            left = [[f for f in fs if f.modality in (None, kind)] for fs, kind in zip(left, WORDS, strict=True)]
        shared = {getattr(f, which) for f in left[0]} & {getattr(f, which) for f in left[1]}
        keys = [_by_key([f for f in files if getattr(f, which) in shared], which) for files in left]
        new = [(keys[0][key], keys[1][key]) for key in sorted(shared)]
        found += new
        marked += new if which == "key" else []
    if not found:
        raise InputError(
            f"no name in {visible} ({some(sorted(f.path.stem for f in first), 3)}) matches one in {infrared} "
            f"({some(sorted(f.path.stem for f in second), 3)}); give both images of a pair the same name"
        )
    return _pair_list(found, first, second, _rule(marked), passed + passed_too)


def _one_folder(folder: Path, recursive: bool) -> PairList:
    """Pairs of one folder: files of both kinds, or two subfolders named after them."""
    inner = _kind_folders(folder)
    if inner is not None:
        return _two_folders(*inner, recursive)
    files, passed = _files(folder, recursive)
    kinds = {kind: _by_key([f for f in files if f.modality == kind], "key") for kind in WORDS}
    plain = _by_key([f for f in files if f.modality is None], "key")
    found, alone = [], []
    for key in sorted(kinds["visible"].keys() | kinds["infrared"].keys() | plain.keys()):
        first, second, unmarked = kinds["visible"].get(key), kinds["infrared"].get(key), plain.get(key)
        if first is not None and second is not None and unmarked is not None:
            raise InputError(
                f"{folder}: {unmarked.path.name}, {first.path.name} and {second.path.name} could be one pair; "
                "remove or rename one of them"
            )
        first, second = first or unmarked, second or unmarked
        if first is not None and second is not None and first is not second:
            found.append((first, second))
        elif unmarked is not None and _has_photo(unmarked.path):
            alone.append((unmarked, unmarked))
    if not found and not alone:
        names = some(sorted(f.path.name for f in files), 3)
        raise InputError(
            f"{folder} holds no pairs ({names}): {_NO_KIND}; mark them like a_vis and a_ir, or give two folders"
        )
    rule = _rule(found)
    if alone:
        rule = "; ".join(filter(None, [rule, f"{len(alone)} thermal files with their own photo"]))
    used = {f for pair in (*found, *alone) for f in pair}
    left = [f for f in files if f not in used]
    visible = [f for f in left if f.modality != "infrared"]
    infrared = [f for f in left if f.modality == "infrared"]
    return _pair_list(
        [*found, *alone], [*(a for a, _ in found), *visible], [*(b for _, b in found), *infrared], rule, passed
    )


def _pair_list(
    found: Iterable[tuple[_Named, _Named]], first: list[_Named], second: list[_Named], rule: str, passed: int
) -> PairList:
    pairs: dict[str, NamedPair] = {}
    done: set[_Named] = set()
    for visible, infrared in found:
        name = visible.name
        if name in pairs:
            raise InputError(f"{pairs[name][1]} and {visible.path} would both be called '{name}'; rename one of them")
        pairs[name] = (name, visible.path, infrared.path)
        done |= {visible, infrared}
    left = [tuple(sorted(_shown(f) for f in files if f not in done)) for files in (first, second)]
    return PairList(tuple(pairs[name] for name in sorted(pairs)), left[0], left[1], rule, passed)


def _shown(file: _Named) -> str:
    return file.path.stem


def _files(folder: Path, recursive: bool) -> tuple[list[_Named], int]:
    """The images of a folder, and how many subfolders with images were passed over."""
    found, passed = images_in(folder, recursive)
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        below = "; --recursive looks into its subfolders" if passed else ""
        raise InputError(f"{folder} holds no image ({kinds}){below}")
    return [_named(folder, path) for path in found], passed


def _named(folder: Path, path: Path) -> _Named:
    inside = path.relative_to(folder).parent.parts
    stem, mark, modality = split_mark(path.stem)
    where = "".join(f"{part}__" for part in inside)
    return _Named(path, where + path.stem, fold(where + path.stem), fold(where + stem), mark, modality)


def _by_key(files: Iterable[_Named], which: Literal["name", "plain", "key"]) -> dict[str, _Named]:
    """Files by one of their names.

    Raises:
        InputError: two share it.
    """
    found: dict[str, _Named] = {}
    for file in files:
        key: str = getattr(file, which)
        if key in found:
            raise InputError(
                f"{file.path.parent} holds both {found[key].path.name} and {file.path.name}; "
                "keep one image for each name"
            )
        found[key] = file
    return found


def _sides(found: list[tuple[_Named, _Named]]) -> tuple[set[_Named], set[_Named]]:
    return {first for first, _ in found}, {second for _, second in found}


def _rule(marked: list[tuple[_Named, _Named]]) -> str:
    """How marked names were matched, by the first of each kind of mark."""
    kinds = {(a.mark.lower(), b.mark.lower()): (a.path.stem, b.path.stem) for a, b in reversed(marked)}
    if not kinds:
        return ""
    shown = ", ".join(f"{a} with {b}" for a, b in list(kinds.values())[::-1][:3])
    return f"paired by the marks in their names: {shown}"


def _kind_folders(folder: Path) -> tuple[Path, Path] | None:
    """Two subfolders named after the kinds, in a folder without images of its own."""
    if not folder.is_dir() or images_in(folder)[0]:
        return None
    found: dict[Modality, list[Path]] = {"visible": [], "infrared": []}
    for entry in sorted(folder.iterdir()):
        for modality, words in WORDS.items():
            if entry.is_dir() and fold(entry.name) in words:
                found[modality].append(entry)
    if [len(paths) for paths in found.values()] == [1, 1]:
        return found["visible"][0], found["infrared"][0]
    return None


def _has_photo(path: Path) -> bool:
    from ldfusion.io.radiometric import read_thermal

    try:
        return read_thermal(path).photo is not None
    except InputError:
        return False

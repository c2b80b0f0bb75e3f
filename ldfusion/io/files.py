"""Finding the pairs to work on, and writing results so that no half-written file is ever seen."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from ldfusion.errors import InputError, WorkError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".irg")

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_SHOWN = 5  # names listed in a message before it says how many more there are

NamedPair = tuple[str, Path, Path]


@dataclass(frozen=True)
class PairList(Sequence[NamedPair]):
    """The pairs found, as a sequence of (name, visible file, infrared file), and what was left over.

    Attributes:
        pairs: sorted by name, the stem that both files share (the visible file's when two files were given).
        unmatched_visible: names in the visible folder without an infrared image, sorted.
        unmatched_infrared: names in the infrared folder without a visible image, sorted.
    """

    pairs: tuple[NamedPair, ...]
    unmatched_visible: tuple[str, ...] = field(default=())
    unmatched_infrared: tuple[str, ...] = field(default=())

    @overload
    def __getitem__(self, index: int) -> NamedPair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[NamedPair, ...]: ...
    def __getitem__(self, index: int | slice) -> NamedPair | tuple[NamedPair, ...]:
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    def report(self) -> list[str]:
        """One line for each folder that holds names without a partner; empty when everything matched."""
        lines = []
        for own, other, names in (
            ("visible", "infrared", self.unmatched_visible),
            ("infrared", "visible", self.unmatched_infrared),
        ):
            if names:
                noun = "image has" if len(names) == 1 else "images have"
                lines.append(f"{len(names)} {own} {noun} no {other} image of the same name: {some(names)}")
        return lines


def match_pairs(visible: str | Path, infrared: str | Path) -> PairList:
    """Pair two files, or the images of two folders by their stem (case counts, the suffix does not).

    Hidden files, sub-folders and files that are no images (see ``IMAGE_SUFFIXES``) are passed over.

    Raises:
        InputError: a path is missing, one is a file and the other a folder, a folder holds no image,
            two images of a folder share a stem, or not a single name matches.
    """
    visible, infrared = Path(visible), Path(infrared)
    for path in (visible, infrared):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if visible.is_dir() != infrared.is_dir():
        folder, file = (visible, infrared) if visible.is_dir() else (infrared, visible)
        raise InputError(f"{folder} is a folder but {file} is a file; give two files or two folders")
    if not visible.is_dir():
        return PairList(((visible.stem, visible, infrared),))

    visible_files, infrared_files = images_by_stem(visible), images_by_stem(infrared)
    shared = sorted(visible_files.keys() & infrared_files.keys())
    if not shared:
        raise InputError(
            f"no name in {visible} ({some(sorted(visible_files), 3)}) matches one in {infrared} "
            f"({some(sorted(infrared_files), 3)}); give both images of a pair the same name"
        )
    return PairList(
        tuple((stem, visible_files[stem], infrared_files[stem]) for stem in shared),
        tuple(sorted(visible_files.keys() - infrared_files.keys())),
        tuple(sorted(infrared_files.keys() - visible_files.keys())),
    )


def images_by_stem(folder: str | Path) -> dict[str, Path]:
    """The images directly inside ``folder`` as {stem: file}, sorted by stem.

    Raises:
        InputError: the folder is missing or cannot be listed, holds no image, or two images share a stem.
    """
    folder = Path(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give a folder of images") from error
    found: dict[str, Path] = {}
    for entry in entries:
        if entry.name.startswith(".") or entry.suffix.lower() not in IMAGE_SUFFIXES or not entry.is_file():
            continue
        if entry.stem in found:
            raise InputError(
                f"{folder} holds both {found[entry.stem].name} and {entry.name}; keep one image for each name"
            )
        found[entry.stem] = entry
    if not found:
        raise InputError(f"{folder} holds no image ({', '.join(s[1:] for s in IMAGE_SUFFIXES)})")
    return dict(sorted(found.items()))


def check_output_folder(path: str | Path) -> Path:
    """Create the folder (parents too) and prove by a probe file that it can be written, before any work is done.

    Raises:
        InputError: the path is a file, lies below a file, or may not be written.
        WorkError: the disk is full.
    """
    folder = Path(path)
    probe = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"probe")
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"output folder {folder}: {error.filename} is a file; give a folder") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WorkError(f"output folder {folder}: {error.strerror}; free some space or give another one") from error
        raise InputError(f"output folder {folder} cannot be written: {error.strerror}; give another one") from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return folder


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; renamed to ``path`` when the block ends, removed if it fails.

    The temporary name keeps the suffix (writers choose the format by it) and is hidden, so that a folder listing
    made meanwhile passes it over. The folder is created if needed.

    Raises:
        WorkError: the disk is full, or the folder or file cannot be written. Other errors of the block pass through.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # A block may also read files; only what concerns the disk or our own file is about writing.
        if error.errno in _DISK_ERRORS or str(error.filename) == str(temporary):
            raise WorkError(f"cannot write {path}: {error.strerror}") from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def some(names: Sequence[str], count: int = _SHOWN) -> str:
    """The first names of a list, and how many more there are, for a line of a message."""
    listed = ", ".join(names[:count])
    return listed if len(names) <= count else f"{listed} and {len(names) - count} more"


def json_lines(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    """The records of JSON lines, each with where it stands (``FILE, line N``) for messages; empty lines are skipped.

    Raises:
        InputError: a line that is not JSON.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            yield where, json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error.msg})") from error

"""Finding the pairs to work on, and writing results so that no half-written file is ever seen."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ldfusion.errors import InputError, WorkError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".irg")

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_STAGING = re.compile(r"\..*\.partial$")
_SHOWN = 5  # names listed in a message before it says how many more there are


def images_in(folder: str | Path, recursive: bool = False) -> tuple[list[Path], int]:
    """The images of a folder, sorted, and how many of its subfolders hold images that were passed over.

    Hidden files and folders are passed over without being counted.

    Raises:
        InputError: the folder is missing or cannot be listed.
    """
    folder = Path(folder)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; give a folder of images") from error
    found, passed = [], 0
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inner, deeper = images_in(entry, True)
            found += inner if recursive else []
            passed += 0 if recursive else bool(inner) + deeper
        elif entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file():
            found.append(entry)
    return found, passed


def images_by_stem(folder: str | Path) -> dict[str, Path]:
    """The images directly inside ``folder`` as {stem: file}, sorted by stem.

    Raises:
        InputError: the folder is missing or cannot be listed, holds no image, or two images share a stem.
    """
    folder = Path(folder)
    found: dict[str, Path] = {}
    for entry in images_in(folder)[0]:
        if entry.stem in found:
            raise InputError(
                f"{folder} holds both {found[entry.stem].name} and {entry.name}; keep one image for each name"
            )
        found[entry.stem] = entry
    if not found:
        raise InputError(f"{folder} holds no image ({', '.join(s[1:] for s in IMAGE_SUFFIXES)})")
    return dict(sorted(found.items()))


def named_images(arguments: Sequence[Path]) -> tuple[dict[str, Path], list[Path]]:
    """The image files that arguments name, files or folders of them, by stem.

    Returns:
        Stem -> file, and the arguments that are not there.

    Raises:
        InputError: none is there, a folder without images, or two images of one stem.
    """
    missing = [path for path in arguments if not path.exists()]
    if len(missing) == len(arguments):
        raise InputError(f"{missing[0]}: no such file or folder")
    found: dict[str, Path] = {}
    for path in arguments:
        if path in missing:
            continue
        for name, file in (images_by_stem(path) if path.is_dir() else {path.stem: path}).items():
            if name in found:
                raise InputError(f"{found[name]} and {file} have the same name; give their results different folders")
            found[name] = file
    return found, missing


def named_folders(given: list[str]) -> dict[str, Path]:
    """Names and their folders from ``NAME=DIR`` words; without a name the folder gives it.

    Raises:
        InputError: a folder that is not there, or two methods of one name.
    """
    found: dict[str, Path] = {}
    for word in given:
        name, separator, rest = word.partition("=")
        path = Path(rest) if separator and not Path(word).exists() else Path(word)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if path == Path(word):
            name = path.stem if path.is_file() else path.resolve().name
        if not name:
            raise InputError(f"--fused {word}: write it as NAME=DIR")
        if name in found:
            raise InputError(f"--fused: two methods are called '{name}'; tell them apart with NAME=DIR")
        found[name] = path
    return found


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
def output_folder(path: str | Path) -> Iterator[Path]:
    """`check_output_folder` around the work that fills it: what it made is gone again if nothing was written there.

    Raises:
        InputError: see `check_output_folder`.
        WorkError: likewise.
    """
    folder = Path(path)
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield check_output_folder(folder)
    finally:
        remove_empty(made)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of some folders that are empty, the first one first."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


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


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left half-written in a folder and its subfolders; no other run may be writing there."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if _STAGING.match(entry.name) and entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif not entry.name.startswith(".") and entry.is_dir():
            entries += [inner for inner in entry.iterdir() if inner.name.startswith(".")]
        elif _TEMPORARY.match(entry.name):
            entry.unlink(missing_ok=True)


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

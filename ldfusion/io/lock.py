"""One run at a time in one folder or on one file: a lock that the operating system takes back when its process dies."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ldfusion.errors import WorkError
from ldfusion.io.files import remove_leftovers

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

LOCK = ".ldfusion.lock"
_NOT_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS, errno.EACCES, errno.EPERM}
"""Errors of file systems that know no locks, or where nothing may be written; they are for others to tell."""


@contextlib.contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block works in it.

    The lock is the kernel's (`flock`) on a hidden file, so that a killed process leaves none behind; the file itself
    goes with the lock, and one that is left over means nothing. What killed runs have left half-written is removed.

    Raises:
        WorkError: another run has it; the line names its process.
    """
    with _lock(Path(folder) / LOCK, Path(folder)) as locked:
        if locked:
            remove_leftovers(Path(folder))
        yield


@contextlib.contextmanager
def file_lock(file: str | Path) -> Iterator[None]:
    """Keep other runs from making the same file, as `folder_lock` keeps them out of a folder.

    Raises:
        WorkError: another run makes it; the line names its process.
    """
    file = Path(file)
    with _lock(file.with_name(f".{file.name}.lock"), file):
        yield


@contextlib.contextmanager
def _lock(path: Path, what: Path) -> Iterator[bool]:
    """Yields whether there is a lock; none where the file system knows none."""
    handle = None if fcntl is None else _acquire(path, what)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            # removed while it is still held: who opens it later opens a new one (see _acquire)
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(handle)


def _acquire(path: Path, what: Path) -> int | None:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno in _NOT_HERE or error.errno in (errno.ENOENT, errno.ENOSPC, errno.ENOTDIR):
                return None
            raise
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            os.close(handle)
            if error.errno in _NOT_HERE and error.errno not in (errno.EACCES,):
                return None
            process = f" (process {owner})" if owner else ""
            raise WorkError(
                f"{what} is in use by another run{process}; wait until it is done, or give another one"
            ) from error
        try:
            same = os.path.samestat(os.fstat(handle), path.stat())
        except FileNotFoundError:
            same = False
        if same:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            return handle
        os.close(handle)  # its owner has removed it between our opening and our locking

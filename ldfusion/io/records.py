"""A log of named records in a result folder, ``captions.jsonl`` of ``ldfusion fuse`` for instance: one line a name.

Several processes may work on one folder: each appends to a part file of its own, so that nobody writes to a file of
another; one process merges the parts when all are done, those of a killed run when the next one is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldfusion.errors import WorkError
from ldfusion.io.files import atomic_write


class RecordLog:
    """JSON lines with a ``name`` each.

    Args:
        file: the log.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def records(self) -> dict[str, dict[str, Any]]:
        """The lines by their names, those of the parts too."""
        return {line["name"]: line for file in (self.file, *self._parts()) for line in _read(file)}

    def add(self, line: Mapping[str, Any], rank: int = 0) -> None:
        """Append one line, with at least a ``name``, to the part of process number ``rank``.

        Raises:
            WorkError: it could not be written; the part then holds what it held before.
        """
        try:
            with self._part(rank).open("ab", buffering=0) as part:
                end = part.tell()
                text = _dump(line).encode("utf-8")
                if part.write(text) != len(text):
                    part.truncate(end)
                    raise OSError("no space left for the whole line")
        except OSError as error:
            raise WorkError(f"cannot write {self.file}: {error.strerror or error}") from error

    def merge(self) -> None:
        """Bring all parts into the log: one line a name, the newest, sorted by name.

        Only one process may do this, while no other writes.

        Raises:
            WorkError: the file could not be written; it and the parts are then as they were.
        """
        parts = self._parts()
        if not parts:
            return
        lines = self.records()
        with atomic_write(self.file) as temporary:
            temporary.write_text("".join(_dump(lines[name]) for name in sorted(lines)), encoding="utf-8")
        for part in parts:
            part.unlink()

    def _parts(self) -> list[Path]:
        """The parts that are there, the oldest first."""
        return sorted(self.file.parent.glob(self._part("*").name), key=lambda part: part.stat().st_mtime_ns)

    def _part(self, rank: int | str) -> Path:
        return self.file.with_name(f".{self.file.stem}-{rank}{self.file.suffix}")


def _dump(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"


def _read(file: Path) -> list[dict[str, Any]]:
    """The lines of a file; one that a killed process left unfinished is passed over, its pair is done again."""
    found = []
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and isinstance(line.get("name"), str):
            found.append(line)
    return found

"""``captions.jsonl``: one line a pair, how it was fused and what is said of it.

Several processes may work on one folder: each appends to a part file of its own, so that nobody writes to a file of
another; one process merges the parts when all are done, or at the start of the next run when this one was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldfusion.errors import WorkError
from ldfusion.io.files import atomic_write

CAPTIONS = "captions.jsonl"
PART = ".captions-{rank}.jsonl"


class CaptionLog:
    """The caption lines of a result folder.

    Args:
        root: the folder.
        rank: number of this process.
    """

    def __init__(self, root: Path, rank: int = 0) -> None:
        self.root = root
        self._part = root / PART.format(rank=rank)

    def methods(self) -> dict[str, str]:
        """How each pair that has its line in ``captions.jsonl`` was fused; without a word of it by ``ldfusion``."""
        return {line["name"]: line.get("method", "ldfusion") for line in _read(self.root / CAPTIONS)}

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line, with at least a ``name``, to the part of this process.

        Raises:
            WorkError: it could not be written; the part then holds what it held before.
        """
        try:
            with self._part.open("ab", buffering=0) as part:
                end = part.tell()
                text = _dump(line).encode("utf-8")
                if part.write(text) != len(text):
                    part.truncate(end)
                    raise OSError("no space left for the whole line")
        except OSError as error:
            raise WorkError(f"cannot write {self.root / CAPTIONS}: {error.strerror or error}") from error

    def merge(self) -> None:
        """Bring all parts into ``captions.jsonl``: one line a name, the newest, sorted by name.

        Only one process may do this, while no other writes.

        Raises:
            WorkError: the file could not be written; it and the parts are then as they were.
        """
        parts = sorted(self.root.glob(PART.format(rank="*")), key=lambda part: part.stat().st_mtime_ns)
        if not parts:
            return
        lines = {line["name"]: line for file in (self.root / CAPTIONS, *parts) for line in _read(file)}
        with atomic_write(self.root / CAPTIONS) as temporary:
            temporary.write_text("".join(_dump(lines[name]) for name in sorted(lines)), encoding="utf-8")
        for part in parts:
            part.unlink()


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

"""``run.json``: how the results in a folder were made, so that results made in two ways are never mixed in one."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ldfusion import __version__
from ldfusion.errors import InputError, WorkError
from ldfusion.io.files import atomic_write

RUN = "run.json"
_REPLACING = "replacing"
_LIBRARIES = ("torch", "diffusers", "numpy", "pillow")


class RunFile:
    """The record of the runs in one folder.

    Args:
        folder: of the results.
        command: what makes them.
        settings: all that decides how a result looks, in plain JSON types.
    """

    def __init__(self, folder: Path, command: str, settings: Mapping[str, Any]) -> None:
        self.file = folder / RUN
        self.command = command
        self.settings = json.loads(json.dumps(settings))  # as it will be read back

    def check(self) -> None:
        """Refuse a folder whose results were made with other settings.

        Raises:
            InputError: the first setting that differs is named, with both values.
        """
        before = self._read()
        known = before.get("settings")
        if before.get(_REPLACING):
            raise InputError(
                f"{self.file.parent} holds results of two kinds: a run that replaced them was stopped; "
                "give --overwrite again, or another folder"
            )
        if not isinstance(known, dict) or before.get("command") != self.command:
            return
        for name in sorted(known.keys() | self.settings.keys()):
            old, new = known.get(name), self.settings.get(name)
            if old != new:
                raise InputError(
                    f"{self.file.parent} holds results made with {name} {_shown(old)}, not {_shown(new)}; "
                    "give another folder, or --overwrite to replace them"
                )

    def start(self) -> None:
        """Write it without sources, so that a killed run has said how it made what it made; a full disk is for others
        to tell. Until it is written again it also says whether results of other settings are being replaced.
        """
        before = self._read()
        replacing = bool(before) and (before.get("settings") != self.settings or bool(before.get(_REPLACING)))
        with contextlib.suppress(WorkError):
            self._save(self._files(), {_REPLACING: True} if replacing else {})

    def write(self, sources: Mapping[str, Mapping[str, str]]) -> None:
        """Renew the file; sources of earlier runs with the same settings are kept. Without any source it goes.

        Args:
            sources: of each result, its files.

        Raises:
            WorkError: it cannot be written.
        """
        files = {**self._files(), **sources}
        if files:
            self._save(files)
        else:
            self.file.unlink(missing_ok=True)

    def _files(self) -> dict[str, Any]:
        """Sources that are there, of results with these settings."""
        before = self._read()
        files = before.get("files")
        return files if before.get("settings") == self.settings and isinstance(files, dict) else {}

    def _save(self, files: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
        run = {
            "command": self.command,
            "settings": self.settings,
            "versions": {"ldfusion": __version__, "python": platform.python_version(), **_versions()},
            "files": {name: files[name] for name in sorted(files)},
            **(more or {}),
        }
        with atomic_write(self.file) as temporary:
            temporary.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _read(self) -> dict[str, Any]:
        """What is there; empty where it is missing or no such record."""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _shown(value: object) -> str:
    return "none" if value is None else f"'{value}'" if isinstance(value, str) else json.dumps(value)

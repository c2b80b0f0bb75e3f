"""The embedded default pipeline: safetensors and ``config.json``, one folder a component."""

from __future__ import annotations

from pathlib import Path

from ldfusion.errors import InputError

FOLDER = Path(__file__).parent


def component_folder(name: str, given: str | Path = "") -> Path:
    """Folder of a component's weights: the given one, else the embedded one.

    Raises:
        InputError: there is no ``config.json`` in it.
    """
    folder = Path(given) if str(given) else FOLDER / name
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder}: no config.json there; give the folder of a trained '{name}' in the section 'model'"
        )
    return folder

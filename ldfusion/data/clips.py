"""Which videos are two views of one scene."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ldfusion.errors import InputError
from ldfusion.io.files import images_in
from ldfusion.io.notices import notice
from ldfusion.io.video import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Clip:
    """Two videos of one scene; ``name`` begins the names of their frames.

    Attributes:
        rate: frames a second of those that are folders of frames; None: 25.
    """

    name: str
    visible: Path
    infrared: Path
    rate: Fraction | None = None

    def source(self) -> dict[str, str]:
        """What it is made of, for the record."""
        paths = {"visible": str(self.visible.resolve()), "infrared": str(self.infrared.resolve())}
        return {"name": self.name, **paths, **({} if self.rate is None else {"rate": str(self.rate)})}


def find_clips(visible: Path, infrared: Path, rate: Fraction | None = None) -> list[Clip]:
    """The videos of two folders by their stems, or one pair of files or of folders of frames.

    Raises:
        InputError: a path is missing, one is a file and the other a folder, or no two names match.
    """
    for path in (visible, infrared):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if visible.is_dir() != infrared.is_dir():
        raise InputError(f"{visible} and {infrared}: give two videos or two folders of videos")
    if not visible.is_dir():
        return [Clip(visible.stem, visible, infrared)]
    found = [
        {
            f.stem: f
            for f in sorted(folder.iterdir())
            if f.suffix.lower() in VIDEO_SUFFIXES and not f.name.startswith(".")
        }
        for folder in (visible, infrared)
    ]
    if not any(found) and all(images_in(folder)[0] for folder in (visible, infrared)):
        return [Clip(visible.resolve().name, visible, infrared, rate)]
    shared = sorted(found[0].keys() & found[1].keys())
    if not shared:
        raise InputError(f"{visible} and {infrared}: no video ({', '.join(VIDEO_SUFFIXES)}) of the same name in both")
    left = sorted(found[0].keys() ^ found[1].keys())
    if left:
        notice(f"without a partner in the other folder and left out: {', '.join(left)}")
    return [Clip(name, found[0][name], found[1][name]) for name in shared]

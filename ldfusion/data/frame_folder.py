"""The folder of a data set made of video frames: its files, its manifest, and how a killed run goes on.

``visible/``, ``infrared/`` (and ``visible_mask/``, ``infrared_mask/``, ``object_mask/``) hold images of equal names;
``splits/`` the names for training; ``manifest.jsonl`` one line for every pair looked at; ``dataset.json`` the sources
and rules. It is read as the data set ``folder`` of the catalogue.

While it is made, decisions go line by line into a hidden file, each after its images: a run that was killed goes on
behind the last whole line, and ends with the very files of an uninterrupted one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ldfusion.data.clips import Clip
from ldfusion.data.frames import SPLITS, FrameRules, HumanMasks, Judged, judge, person_labels, split_names
from ldfusion.data.labels import MASK_CLASSES
from ldfusion.errors import InputError, WorkError
from ldfusion.io.files import atomic_write, check_output_folder
from ldfusion.io.frame_sequence import open_video
from ldfusion.io.image import write_png
from ldfusion.io.video_pair import FramePair, PairedVideo

MANIFEST, SETTINGS, PROGRESS = "manifest.jsonl", "dataset.json", ".manifest.partial.jsonl"
FOLDERS = ("visible", "infrared", "visible_mask", "infrared_mask", "object_mask")
DATASET = "folder"
PERSON = MASK_CLASSES.index("person")

Watch = Callable[[Iterable[FramePair], str, int | None], Iterable[FramePair]]
MaskMaker = Callable[[Path], HumanMasks]


class FrameFolder:
    """Writes one data set.

    Args:
        root: its folder.
        clips: what it is made of.
        rules: how.
        about: further settings that must be the same for a run to go on, the mask maker's for instance.
        overwrite: drop what is there of an earlier run.

    Attributes:
        finished: the data set is complete already, and nothing is to be done.

    Raises:
        InputError: the folder holds something else, or a data set of other sources or rules.
    """

    def __init__(
        self,
        root: Path,
        clips: Sequence[Clip],
        rules: FrameRules,
        about: dict[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.root, self.clips, self.rules = root, list(clips), rules
        self.settings = {"sources": [clip.source() for clip in clips], "rules": rules.as_dict(), **(about or {})}
        check_output_folder(root)
        self._check_owner(overwrite)
        self.finished = (root / MANIFEST).is_file()
        self._lines = [] if self.finished else _read_lines(root / PROGRESS)
        self._bytes = sum(map(_size, self._lines))

    def _check_owner(self, overwrite: bool) -> None:
        file = self.root / SETTINGS
        if not file.is_file():
            full = [name for name in FOLDERS if any((self.root / name).glob("*"))]
            if full:
                raise InputError(
                    f"{self.root / full[0]} holds files that are not of this command; choose an empty folder"
                )
        elif overwrite:
            self._clear()
        else:
            try:
                before = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"{file}: not JSON; use --overwrite, or choose another folder") from error
            for key, value in self.settings.items():
                if before.get(key) != json.loads(json.dumps(value)):
                    raise InputError(
                        f"{file}: this data set was made with other {key}; use --overwrite, or choose another folder"
                    )
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")

    def _clear(self) -> None:
        """Remove what an earlier run wrote, and nothing else."""
        for name in (MANIFEST, PROGRESS):
            for line in _read_lines(self.root / name):
                for folder in FOLDERS:
                    (self.root / folder / f"{line.get('name', '')}.png").unlink(missing_ok=True)
            (self.root / name).unlink(missing_ok=True)

    def build(self, masks: MaskMaker | None = None, watch: Watch | None = None) -> Iterator[str]:
        """Do what is left to do; yields notes about the videos, one line each.

        Args:
            masks: makes the mask source of a clip from its infrared video, needed if ``rules.humans``.
            watch: wraps the pairs of a clip, to show progress; gets the clip's name and the expected number.

        Raises:
            InputError: the only video cannot be read.
            WorkError: one of several videos cannot be read (the others are done first), nothing was kept, or a file
                cannot be written.
        """
        complete = {line["clip"] for line in self._lines if line.get("complete")}
        failed = []
        for clip in self.clips:
            if clip.name in complete:
                continue
            try:
                yield from self._clip(clip, masks, watch)
            except InputError as error:
                if len(self.clips) == 1:
                    raise
                failed.append(clip.name)
                yield f"error: {error}"
        if failed:
            raise WorkError(
                f"{len(failed)} of {len(self.clips)} video pairs could not be used ({', '.join(failed)}): mend or "
                "replace them and start again, what is done is kept"
            )
        if not self._kept():
            raise WorkError(f"{self.root}: no pair was kept ({self.summary()}); loosen the rules")
        self._finish()

    def _clip(self, clip: Clip, masks: MaskMaker | None, watch: Watch | None) -> Iterator[str]:
        done = sum(line["clip"] == clip.name for line in self._lines)
        with (
            open_video(clip.visible, rate=clip.rate) as visible,
            open_video(clip.infrared, "infrared", clip.rate) as infrared,
        ):
            both = PairedVideo(visible, infrared, self.rules.offset)
            yield from both.notes()
            source = masks(clip.infrared) if masks is not None and self.rules.humans else None
            pairs: Iterable[FramePair] = both.pairs()
            if watch is not None:
                pairs = watch(pairs, clip.name, both.expected())
            taken = 0
            for index, pair in enumerate(pairs):
                if index % self.rules.every:
                    continue
                taken += 1
                if taken > done:
                    self._add(clip, index, pair, judge(pair, self.rules, source))
            self._append({"clip": clip.name, "complete": True})
            yield from both.closing_notes()

    def _add(self, clip: Clip, index: int, pair: FramePair, judged: Judged) -> None:
        name = f"{clip.name}_{index:06d}"
        for folder, image in judged.images.items():
            file = self.root / folder / f"{name}.png"
            write_png(file, person_labels(image, PERSON).float() / 255 if folder == "object_mask" else image)
        self._append(
            {
                "clip": clip.name,
                "name": name,
                "index": index,
                "time": round(pair.time, 4),
                "visible_time": round(pair.visible.time, 4),
                "infrared_time": round(pair.infrared.time, 4),
                "kept": not judged.reason,
                "reason": judged.reason,
                **judged.figures,
            }
        )

    def _append(self, line: dict[str, Any]) -> None:
        if not self._lines:
            (self.root / PROGRESS).unlink(missing_ok=True)
        try:
            with (self.root / PROGRESS).open("a", encoding="utf-8") as file:
                if file.tell() != self._bytes:  # a killed run left half a line
                    file.truncate(self._bytes)
                file.write(_dump(line))
        except OSError as error:
            raise WorkError(f"cannot write {self.root / PROGRESS}: {error.strerror or error}") from error
        self._lines.append(line)
        self._bytes += _size(line)

    def _kept(self) -> list[str]:
        return [line["name"] for line in self._lines if line.get("kept")]

    def _finish(self) -> None:
        splits = split_names(self._kept(), self.rules)
        for split in SPLITS:
            with atomic_write(self.root / "splits" / f"{split}.txt") as temporary:
                temporary.write_text("".join(f"{DATASET}/{name}\n" for name in splits[split]), encoding="utf-8")
        where = {name: split for split, names in splits.items() for name in names}
        judged = [line for line in self._lines if not line.get("complete")]
        lines = [{**line, "split": where.get(line["name"], "unused")} if line["kept"] else line for line in judged]
        with atomic_write(self.root / MANIFEST) as temporary:
            temporary.write_text("".join(map(_dump, lines)), encoding="utf-8")
        (self.root / PROGRESS).unlink(missing_ok=True)
        self._lines, self.finished = lines, True

    def summary(self) -> str:
        """How many pairs were kept, left out and why, in one line."""
        lines = self._lines or _read_lines(self.root / MANIFEST)
        judged = [line for line in lines if not line.get("complete")]
        reasons = Counter(_kind(line["reason"]) for line in judged if not line["kept"])
        out = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        kept = sum(line["kept"] for line in judged)
        splits = Counter(line["split"] for line in judged if "split" in line)
        parts = ", ".join(f"{splits[s]} {s}" for s in (*SPLITS, "unused") if splits[s])
        return f"{kept} of {len(judged)} pairs kept" + f" ({parts})" * bool(parts) + f"; left out: {out}" * bool(out)


def _dump(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"


def _size(line: dict[str, Any]) -> int:
    return len(_dump(line))  # as many bytes as characters: JSON escapes what is not ASCII


def _kind(reason: str) -> str:
    """A reason without its figures."""
    return reason.split(":", 1)[0]


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a manifest; one that a killed run left unfinished, at the end, is passed over."""
    found: list[dict[str, Any]] = []
    for text in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []:
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not text.endswith("\n") or not isinstance(line, dict) or "clip" not in line:
            break
        found.append(line)
    return found

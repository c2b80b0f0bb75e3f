"""Batch jobs: results that are there are kept, a bad item costs one line, processes share the work.

    job = Job(images, outputs=lambda name: [Path(f"{name}.png")], root=folder, unit="image")
    tally = job.run(load)

``load`` is called when there is something to do and returns what works on one item. Started by ``accelerate launch``,
each process does its share; what they write is as if one had done everything. Errors are logged under "ldfusion".
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from ldfusion.errors import InputError, WorkError
from ldfusion.io.files import remove_empty
from ldfusion.io.lock import folder_lock
from ldfusion.io.records import RecordLog
from ldfusion.overlap import Behind, ahead

Item = TypeVar("Item")

_logger = logging.getLogger("ldfusion.jobs")


@dataclass(frozen=True)
class Result:
    """What the work on one item has come to.

    Attributes:
        write: writes all outputs below the folder it is given, whose subfolders exist; None: there is nothing to write.
        outputs: the files that ``write`` makes, where they are others than the job expected.
        record: the item's line in the job's log.
        flawed: done, but not as it should be (the work itself says why); such items are counted apart.
    """

    write: Callable[[Path], object] | None = None
    outputs: Sequence[Path] | None = None
    record: Mapping[str, Any] | None = None
    flawed: bool = False


Work = Callable[[str, Item], Result]


@dataclass(frozen=True)
class Overlapped(Generic[Item]):
    """Work whose items are read by a thread, and whose results are written by another, while the next one is made.

    Attributes:
        read: what ``make`` takes of an item; called in order, by one thread.
        make: the rest of the work.
    """

    read: Callable[[str, Item], Any]
    make: Callable[[str, Any], Result]

    def __call__(self, name: str, item: Item) -> Result:
        """Both, one after the other."""
        return self.make(name, self.read(name, item))


@dataclass(frozen=True)
class Tally:
    """How many items were done now, were there before, and could not be done; ``flawed`` ones are among the done."""

    done: int = 0
    kept: int = 0
    failed: int = 0
    flawed: int = 0

    @property
    def exit_code(self) -> int:
        """0 when every item is done as it should be, else 1.

        Of several processes only the first tells: the launcher would stop it when another ends with an error.
        """
        return int(self.failed + self.flawed > 0 and is_main())

    def words(self, *first: str) -> str:
        """For a message: what comes first, then how many were kept and how many failed, where any were."""
        kept = [kept_words(self.kept)] if self.kept else []
        failed = [f"{self.failed} failed"] if self.failed else []
        return ", ".join([*first[:1], *kept, *first[1:], *failed])


def kept_words(count: int) -> str:
    """How a message says that results are there already."""
    return f"{count} kept from before (--overwrite makes them anew)"


@dataclass(frozen=True)
class Job(Generic[Item]):
    """Many items of one kind of work.

    Attributes:
        items: what to work on, by name.
        unit: what an item is called in messages.
        root: folder of the outputs.
        outputs: the files of one name, relative to ``root``; an item that has them all is done.
        overwrite: do everything anew.
        log: gets the records of the results; an item without one is not done.
        begin, end: called by one process before anything is looked at and after all is done, under the folder's lock.
    """

    items: Mapping[str, Item]
    unit: str = "pair"
    root: Path = Path()
    outputs: Callable[[str], Sequence[Path]] | None = None
    overwrite: bool = False
    log: RecordLog | None = None
    begin: Callable[[], object] | None = None
    end: Callable[[], object] | None = None

    def check(self) -> Self:
        """The job itself, unless outputs would fall on each other.

        Raises:
            InputError: two names share a file.
        """
        owners: dict[Path, str] = {}
        for name in sorted(self.items):
            for file in self.outputs(name) if self.outputs else ():
                if file in owners:
                    raise InputError(
                        f"'{owners[file]}' and '{name}' cannot go into one folder: {file} would be a result of both; "
                        "rename one of them or give another output folder"
                    )
                owners[file] = name
        return self

    def run(self, load: Callable[[], Work[Item]]) -> Tally:
        """Do what is not done yet, of several processes each its share.

        Returns:
            The same figures in every process.

        Raises:
            WorkError: another run works in the folder.
            InputError: by ``load``. Of the work, unusable input (`InputError`) and an item too large for the memory
                fail alone; after a `WorkError`, a full disk for instance, the rest would fail in the same way and is
                not tried.
        """
        from accelerate import PartialState
        from accelerate.utils import broadcast_object_list

        state = PartialState()
        with self._alone() if state.is_main_process else nullcontext():
            # one process looks: the others would miss what the first have done meanwhile
            looked = [self._look() if state.is_main_process else ([], set())]
            broadcast_object_list(looked)
            todo, logged = looked[0]
            failed = flawed = 0
            if todo:
                failed, flawed = self._work(share(todo), load(), logged)
            failed, flawed = sum(together([failed])), sum(together([flawed]))
            if self.log is not None and state.is_main_process:
                self.log.merge()
            state.wait_for_everyone()
        return Tally(len(todo) - failed, len(self.items) - len(todo), failed, flawed)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The folder is this run's; ``begin`` and ``end`` around the block."""
        with nullcontext() if self.outputs is None else folder_lock(self.root):
            if self.begin is not None:
                self.begin()
            try:
                yield
            finally:
                if self.end is not None:
                    self.end()

    def _look(self) -> tuple[list[str], set[str]]:
        """What is to be done, and which names the log has."""
        logged = set() if self.log is None else set(self.log.records())
        return [name for name in self.items if not self._done(name, logged)], logged

    def _done(self, name: str, logged: set[str]) -> bool:
        if self.overwrite or self.outputs is None or (self.log is not None and name not in logged):
            return False
        return all((self.root / file).exists() for file in self.outputs(name))

    def _work(self, names: Sequence[str], work: Work[Item], logged: set[str]) -> tuple[int, int]:
        """How many of these failed, and how many were done with a flaw."""
        from accelerate import PartialState
        from torch import OutOfMemoryError

        rank = PartialState().process_index
        if isinstance(work, Overlapped):
            return self._work_overlapped(names, work, rank, logged)
        failed = flawed = 0
        for number, name in enumerate(progress(names, self.unit, shown=rank == 0)):
            try:
                # no name holds the result: its images are gone when the next item begins
                flawed += self._finish(name, work(name, self.items[name]), rank, logged)
            except InputError as error:
                _logger.error("%s", error)
                failed += 1
            except (MemoryError, OutOfMemoryError) as error:
                _logger.error("out of memory at %s %s: %s", self.unit, name, " ".join(str(error).split()))
                failed += 1
            except WorkError as error:
                left = len(names) - number
                rest = f"; stopped, {left} {self.unit}s are not done" if left > 1 else ""
                _logger.error("%s%s", error, rest)
                return failed + left, flawed
        return failed, flawed

    def _work_overlapped(
        self, names: Sequence[str], work: Overlapped[Item], rank: int, logged: set[str]
    ) -> tuple[int, int]:
        """`_work` in three threads, one item between each two of them."""
        from torch import OutOfMemoryError

        failed = flawed = finished = 0

        def finish(name: str, result: Result) -> None:
            nonlocal flawed, finished
            flawed += self._finish(name, result, rank, logged)
            finished += 1

        try:
            with closing(ahead(self._read(names, work.read), 1)) as items, Behind(1) as writer:
                for name, value in progress(items, self.unit, rank == 0, len(names)):
                    try:
                        if isinstance(value, BaseException):
                            raise value
                        writer.put(partial(finish, name, work.make(name, value)))
                    except InputError as error:
                        _logger.error("%s", error)
                        failed += 1
                    except (MemoryError, OutOfMemoryError) as error:
                        _logger.error("out of memory at %s %s: %s", self.unit, name, " ".join(str(error).split()))
                        failed += 1
        except WorkError as error:
            left = len(names) - finished - failed
            rest = f"; stopped, {left} {self.unit}s are not done" if left > 1 else ""
            _logger.error("%s%s", error, rest)
            return failed + left, flawed
        return failed, flawed

    def _read(self, names: Sequence[str], read: Callable[[str, Item], Any]) -> Iterator[tuple[str, Any]]:
        """What is read of each item, or why it could not be."""
        for name in names:
            try:
                value = read(name, self.items[name])
            except (
                InputError,
                MemoryError,
                RuntimeError,
            ) as error:  # memory that runs out is a `RuntimeError` of torch
                value = error
            yield name, value
            value = None

    def _finish(self, name: str, result: Result, rank: int, logged: set[str]) -> bool:
        """Write what the work on an item has come to; whether it has a flaw."""
        if result.write is not None:
            files = result.outputs or (self.outputs(name) if self.outputs else ())
            write_outputs(self.root, name, files, result.write, self.overwrite)
        if result.record is not None and self.log is not None and (self.overwrite or name not in logged):
            self.log.add(result.record, rank)
        return result.flawed


def share(items: Sequence[Item]) -> Sequence[Item]:
    """The part of some items that this process works on, every n-th; all of them without a launcher."""
    from accelerate import PartialState

    state = PartialState()
    return items[state.process_index :: state.num_processes]


def together(values: list[Item]) -> list[Item]:
    """The values of all processes, one process after the other; returns when every process has given its own."""
    from accelerate.utils import gather_object

    found: list[Item] = gather_object(values)
    return found


def is_main() -> bool:
    """Whether this is the process that speaks for all."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def progress(items: Iterable[Item], unit: str, shown: bool = True, total: int | None = None) -> Iterable[Item]:
    """Iterate with a bar that shows rate and remaining time; nothing is drawn unless a person is watching.

    Args:
        items: what to go through.
        unit: what one is called.
        shown: False draws no bar (processes other than the main one).
        total: how many items there will be, where they cannot be counted beforehand.
    """
    from tqdm import tqdm

    return tqdm(items, unit=unit, total=total, dynamic_ncols=True, disable=not (shown and sys.stderr.isatty()))


def write_outputs(
    root: Path, name: str, files: Sequence[Path], write: Callable[[Path], object], overwrite: bool
) -> None:
    """Make the files of one name in a hidden folder beside their places, then move them there: all of them or none.

    Args:
        root: the output folder.
        name: of the item.
        files: where its results go, relative to ``root``.
        write: writes all of ``files`` below the folder that it is given; their subfolders exist there.
        overwrite: replace files that exist; otherwise they are kept and only the missing ones are added.

    Raises:
        WorkError: something could not be written, for instance because the disk is full; nothing is left behind.
    """
    # Inside the root, since os.replace cannot cross file systems. The fixed name lets a later run of the same name
    # clear what a killed one has left.
    staging = root / f".{name}.partial"  # see remove_leftovers
    shutil.rmtree(staging, ignore_errors=True)
    folders = {file.parent for file in files}
    made = [root / folder for folder in folders if not (root / folder).exists()]
    try:
        for folder in folders:
            (staging / folder).mkdir(parents=True, exist_ok=True)
            (root / folder).mkdir(parents=True, exist_ok=True)
        write(staging)
        for file in files:
            if overwrite or not (root / file).exists():
                os.replace(staging / file, root / file)
    except (OSError, WorkError) as error:
        remove_empty(made)
        line = str(error)
        if isinstance(error, OSError):
            line = f"cannot write {error.filename or root}: {error.strerror or error}"
        raise WorkError(line.replace(str(staging), str(root))) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)

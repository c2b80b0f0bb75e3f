"""Work of several kinds at once, in order, through queues that hold little: reading, computing, writing.

    with Behind() as writer:
        for item in ahead(read_all()):                        # read by a thread, up to two items ahead
            writer.put(partial(write, compute(item)))         # written by another, up to two items behind

Decoding, encoding and the operators of networks leave Python's lock, so two threads keep two cores busy.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 2
"""Items that wait between two kinds of work, at most."""


class Profile:
    """Seconds that each kind of work took; kinds that overlap may add up to more than the whole."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._begin = time.perf_counter()

    @contextlib.contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """Count the time of the block."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - begin

    def watched(self, kind: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items, the time to make each counted."""
        iterator = iter(items)
        while True:
            try:
                with self.of(kind):
                    item = next(iterator)
            except StopIteration:
                return
            yield item

    def words(self) -> str:
        """``read 1.2 s, fuse 3.4 s, write 2.1 s; 3.9 s in all``."""
        whole = time.perf_counter() - self._begin
        return f"{', '.join(f'{kind} {value:.1f} s' for kind, value in self.seconds.items())}; {whole:.1f} s in all"


def ahead(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item, None, None]:
    """The items in order, made by a thread up to ``depth`` ahead of who asks for them.

    What making them raises is raised here, after the items before it. When the caller stops early the thread stops,
    and an iterator is closed by it.
    """
    waiting: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(kind: str, value: Item | BaseException | None) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((kind, value), timeout=0.1)
                return True
        return False

    def run() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put("item", item):
                    break
            else:
                put("end", None)
        except BaseException as error:
            put("error", error)
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
            value = None  # a large item is gone before the next one is waited for
    finally:
        stopped.set()
        thread.join()


class Behind:
    """Calls that a thread makes one after another, up to ``depth`` behind; a context manager.

    An error of one of them is raised by the next `put`, or when the block ends; the calls after it are not made.
    """

    def __init__(self, depth: int = DEPTH) -> None:
        self._waiting: queue.Queue[Callable[[], object] | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)

    def put(self, call: Callable[[], object]) -> None:
        """Have a call made; waits while ``depth`` others do."""
        self._raise()
        self._waiting.put(call)

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _run(self) -> None:
        while (call := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    call()
                except BaseException as error:
                    self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

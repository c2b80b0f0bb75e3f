from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from ldfusion.overlap import Behind, Profile, ahead


def test_items_come_in_order_and_little_is_made_ahead() -> None:
    made = []

    def make() -> Iterator[int]:
        for k in range(8):
            made.append(k)
            yield k

    with closing(ahead(make(), 2)) as items:
        assert next(items) == 0
        time.sleep(0.3)
        assert len(made) <= 5  # one taken, two waiting, one in the thread's hand
        assert list(items) == list(range(1, 8))


def test_an_error_comes_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = ahead(make())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_a_caller_that_stops_early_stops_the_thread_and_closes_the_iterator() -> None:
    closed = threading.Event()

    def make() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    with closing(ahead(make())) as items:
        next(items)
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_calls_are_made_in_order_by_one_thread() -> None:
    done: list[tuple[int, str]] = []
    with Behind() as behind:
        for k in range(6):
            behind.put(lambda k=k: done.append((k, threading.current_thread().name)))
    assert done == [(k, "behind") for k in range(6)]


def test_the_error_of_a_call_is_raised_and_the_calls_after_it_are_not_made() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), Behind(4) as behind:
        behind.put(fail)
        behind.put(lambda: done.append(1))
    assert done == []
    with pytest.raises(KeyboardInterrupt), Behind() as behind:  # what is under way is finished
        behind.put(lambda: done.append(2))
        raise KeyboardInterrupt
    assert done == [2]


def test_reading_computing_and_writing_overlap() -> None:
    def read() -> Iterator[int]:
        for k in range(6):
            time.sleep(0.05)
            yield k

    profile, begin = Profile(), time.perf_counter()
    with Behind() as behind, closing(ahead(profile.watched("read", read()))) as items:
        for _ in items:
            with profile.of("fuse"):
                time.sleep(0.05)
            behind.put(lambda: time.sleep(0.05))
    whole = time.perf_counter() - begin
    assert whole < 0.75 * 6 * 0.15
    assert profile.seconds["read"] >= 0.3 and profile.seconds["fuse"] >= 0.3
    assert profile.words().startswith("read 0.") and profile.words().endswith("s in all")

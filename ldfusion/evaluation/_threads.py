"""Threads over images instead of threads within an operation.

The metrics are thousands of short operations on strips of an image. Two threads within each would have to meet after
every one of them, which on a busy machine takes many times longer than the work; one thread an image never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[int]:
    """Operations of torch take one thread inside of the block; yields how many it was before."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield threads
        return
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def over_images(work: Callable[[Item], Result], items: Iterable[Item], parallel: bool = True) -> Iterator[Result]:
    """``work`` of every item, in their order, by as many threads as torch was given; few items wait at a time.

    Args:
        parallel: False works in the caller's own thread, for a device that is one queue anyway.
    """
    if not parallel:
        yield from map(work, items)
        return
    with one_thread() as threads, ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

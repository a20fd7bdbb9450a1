"""Ahead: work on several things at once, results in order, never more than a few in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
THREADS = 2
"""Packing is done outside the interpreter's lock, and takes up to 200 MB for each thread."""


def ahead(work: Callable[[T], R], items: Iterable[T], threads: int = THREADS) -> Iterator[R]:
    """`work` of each of `items`, in order; at most `threads` are begun before they are asked for.

    The first that raises ends it.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="pack") as pool:
        begun: deque[Future[R]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()

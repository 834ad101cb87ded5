"""Runs a kernel in the threads of this process (``local:`` URIs).

AES, Arrow and the compiled passes release the GIL, so threads scale over the cores; results come in order, and
only ``threads + 1`` items are under way at once, so memory stays bounded however long the stream is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from parcelveil.ports import Item, Result


class LocalEngine:
    """``threads``: how many; by default one for each core this process may use."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))

    def map(self, kernel: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        if self.threads == 1:
            yield from map(kernel, items)
            return
        with ThreadPoolExecutor(self.threads, thread_name_prefix="parcelveil") as pool:
            under_way: deque[Future[Result]] = deque()
            try:
                for item in items:
                    under_way.append(pool.submit(kernel, item))
                    if len(under_way) > self.threads:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()

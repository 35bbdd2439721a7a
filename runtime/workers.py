"""Threads that process the rows of an array in parallel.

The rows are cut into parts, which are batches of consecutive rows. Each thread processes one part at a time, so that
working memory does not grow with the number of rows.
"""

import collections
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from .arguments import checked_positive
from .forks import abandon_in_children

# The largest part has between MIN_ROWS and MAX_ROWS rows, depending on the MACs of a row: enough that the overhead of
# Python is small, and few enough that the results fit into the CPU cache.
MIN_ROWS, MAX_ROWS = 256, 768
PART_MAX_MACS = 600_000_000  # maximum number of multiply-accumulates (MACs) of a part, unless MIN_ROWS rows have more
PART_MIN_MACS = 16_000_000  # minimum number of MACs of a part; for less work, waking another thread does not pay

Part = TypeVar("Part")
Result = TypeVar("Result")

# Futures that a forked child has inherited. They are never deleted: to free the memory of their results, onnxruntime
# takes a lock, and a thread of the parent may have held this lock during the fork.
_inherited: list[Future[Any]] = []


class Workers:
    """Threads that process the parts of an array in parallel; the calling thread is one of them.

    Each thread runs onnxruntime on a part of its own. No core therefore waits for another within a graph, and pixels
    are converted on all cores too. The other threads start on first use and sleep between calls. In a forked child
    process, new threads start on first use there.
    """

    def __init__(self, threads: int, batch_size: int | None = None) -> None:
        """Store the settings; threads start on first use.

        threads: number of threads, the calling thread included. batch_size: number of rows in each part; if None, `cut`
        chooses it.
        """
        self.threads = threads
        self._batch_size = None if batch_size is None else checked_positive("batch_size", batch_size)
        self._pool: ThreadPoolExecutor | None = None
        abandon_in_children(self)

    def cut(self, n: int, macs: int, batch_size: int | None = None) -> Iterator[slice]:
        """Cut n rows into parts, and return their slices. All parts have equal size except a smaller last one.

        macs: multiply-accumulates of one row. batch_size: number of rows in each part, by default the batch_size of
        this object. If both are None, the rows are divided evenly among the threads: a part has at most MAX_ROWS rows
        and, within this limit, enough MACs to be worth waking a thread. Raises InputError for a batch_size below 1.
        """
        chosen = self._batch_size if batch_size is None else checked_positive("batch_size", batch_size)
        if chosen is not None:
            return slices(n, chosen)
        macs = max(1, macs)
        most = min(MAX_ROWS, max(MIN_ROWS, PART_MAX_MACS // macs))
        rounds = math.ceil(n / (most * self.threads))
        parts = max(1, min(rounds * self.threads, n * macs // PART_MIN_MACS))
        return slices(n, min(most, math.ceil(n / parts) or 1))

    def in_order(self, run: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """Call `run` on every part, on all threads, and yield the results in the order of the parts.

        At any time, only a few more parts have been taken from the iterable than results have been yielded. While the
        calling thread waits for the next result, it runs parts that no other thread has begun.
        """
        remaining = iter(parts)
        first = list(itertools.islice(remaining, 2))
        if self.threads == 1 or len(first) < 2:
            yield from map(run, itertools.chain(first, remaining))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, "aegen")  # the calling thread works too
        pool, process = self._pool, os.getpid()
        waiting = collections.deque[tuple[Part, Future[Result]]]()

        def submit(part: Part) -> Future[Result]:
            try:
                return pool.submit(run, part) if os.getpid() == process else Future()
            except RuntimeError:  # the pool closed when the main thread ended; the caller runs this part later
                return Future()

        def first_result() -> Result:
            if os.getpid() != process:  # this is a forked child, without the parent's threads
                part, inherited = waiting.popleft()
                _inherited.append(inherited)
                return run(part)
            for index, (part, future) in enumerate(tuple(waiting)):
                if waiting[0][1].done():
                    break
                if future.cancel():  # no other thread had begun this part, so run it here
                    waiting[index] = part, _finished(run, part)
            return waiting.popleft()[1].result()

        try:
            for part in itertools.chain(first, remaining):
                waiting.append((part, submit(part)))
                if len(waiting) > 2 * self.threads:
                    yield first_result()
            while waiting:
                yield first_result()
        finally:
            for _, future in waiting:
                if os.getpid() == process:
                    future.cancel()
                else:
                    _inherited.append(future)

    def gathered(
        self,
        run: Callable[[np.ndarray, np.ndarray], object],
        rows: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype,
        macs: int,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Call `run` on parts of the array `rows` (n, ...), and return all results as one array (n, *shape) of `dtype`.

        run: a function of m rows (m, ...) that writes their results to an array (m, *shape), its second argument.
        macs, batch_size: see `cut`.
        """
        results = np.empty((len(rows), *shape), dtype)
        if len(rows) == 1:  # a fast path, so that a call for one image takes only microseconds longer than its graph
            if batch_size is not None:
                checked_positive("batch_size", batch_size)
            run(rows, results)
            return results
        parts = self.cut(len(rows), macs, batch_size)

        def run_part(part: slice) -> None:
            run(rows[part], results[part])

        collections.deque(self.in_order(run_part, parts), maxlen=0)
        return results

    def abandon(self) -> None:
        """Drop the thread pool in a forked child, where its threads do not exist."""
        self._pool = None


def _finished(run: Callable[[Part], Result], part: Part) -> Future[Result]:
    """Run a part now, on the calling thread, and return a finished future that holds the result or the error."""
    future = Future[Result]()
    try:
        future.set_result(run(part))
    except Exception as error:
        future.set_exception(error)
    return future


def slices(n: int, size: int) -> Iterator[slice]:
    """Consecutive slices that cover rows 0 to n - 1: `size` rows each, except that the last may have fewer."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))

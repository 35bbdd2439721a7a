"""Threads that process many rows in parts, so that working memory does not grow with the number of rows."""

import collections
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .arguments import checked_positive
from .forks import abandon_in_children

# Rows of one part: enough that the cost of Python is small, few enough that their results fit into a core's cache.
MIN_ROWS, MAX_ROWS = 256, 512
PART_MAX_MACS = 200_000_000  # most MACs of a part, unless MIN_ROWS rows need more
PART_MIN_MACS = 16_000_000  # fewest MACs of a part; for fewer, waking another thread is not worth it

Part = TypeVar("Part")
Result = TypeVar("Result")


class Workers:
    """Threads that process parts of rows; the calling thread is one of them.

    Each thread runs onnxruntime on its own rows. No core therefore waits for another within a graph, and pixels are
    converted on all cores too. The other threads start on first use, sleep between calls, and start again in a forked
    process.
    """

    def __init__(self, threads: int, batch_size: int | None = None) -> None:
        """Start no thread yet.

        threads: number of threads, the calling thread included. batch_size: rows of a part, by default chosen by `cut`.
        """
        self.threads = threads
        self._batch_size = None if batch_size is None else checked_positive("batch_size", batch_size)
        self._pool: ThreadPoolExecutor | None = None
        abandon_in_children(self)

    def cut(self, n: int, macs: int, batch_size: int | None = None) -> Iterator[slice]:
        """Cut n rows into parts of equal size and a smaller last one.

        macs: multiply-accumulates of one row. batch_size: rows of a part, by default the batch_size of this object. If
        there is none, the rows are divided evenly among the threads, in parts of at most MAX_ROWS rows that have enough
        MACs to be worth waking a thread. Raises InputError for a batch_size below 1.
        """
        chosen = self._batch_size if batch_size is None else checked_positive("batch_size", batch_size)
        if chosen is not None:
            return slices(n, chosen)
        macs = max(1, macs)
        most = min(MAX_ROWS, max(MIN_ROWS, PART_MAX_MACS // macs))
        rounds = math.ceil(n / (most * self.threads))
        size = math.ceil(n / max(1, rounds * self.threads))
        return slices(n, min(most, max(size, math.ceil(PART_MIN_MACS / macs))))

    def in_order(self, run: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The results of `run` for each part, in order.

        The calling thread takes parts from the iterable, only a few ahead of the results. While it waits for the next
        result, it runs parts that no other thread has begun.
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
            except RuntimeError:  # the main thread has ended, which closed the pool: the caller runs the part
                return Future()

        def first_result() -> Result:
            if os.getpid() != process:  # after a fork, in which the parent's threads do not exist
                return run(waiting.popleft()[0])
            for index, (part, future) in enumerate(tuple(waiting)):
                if waiting[0][1].done():
                    break
                if future.cancel():  # no other thread has begun this part
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

    def gathered(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        rows: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype,
        macs: int,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """The results of `run` for rows (n, ...), as one array (n, *shape) of dtype.

        run: rows (m, ...) -> (m, *shape). macs: multiply-accumulates of one row. batch_size: rows of a part, as for
        `cut`.
        """
        if len(rows) == 1:  # a call for one image should take only microseconds longer than the graph
            if batch_size is not None:
                checked_positive("batch_size", batch_size)
            return run(rows)
        parts = self.cut(len(rows), macs, batch_size)
        results = np.empty((len(rows), *shape), dtype)

        def fill(part: slice) -> None:
            results[part] = run(rows[part])

        collections.deque(self.in_order(fill, parts), maxlen=0)
        return results

    def abandon(self) -> None:
        """Drop the thread pool in a forked child, where its threads do not exist."""
        self._pool = None


def _finished(run: Callable[[Part], Result], part: Part) -> Future[Result]:
    """A future with the result of running a part now, on the calling thread, or with its error."""
    future = Future[Result]()
    try:
        future.set_result(run(part))
    except Exception as error:
        future.set_exception(error)
    return future


def slices(n: int, size: int) -> Iterator[slice]:
    """Consecutive slices of `size` rows that cover the rows 0 to n - 1; the last one may be smaller."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))

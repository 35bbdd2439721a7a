"""Many rows, a few at a time on every core: memory stays at what those take, however many there are."""

import collections
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .arguments import positive
from .forks import abandon_in_children

# Rows in one onnxruntime call: so many that Python's share of it is nothing, and so few that a core's cache holds what
# they are turned into.
MIN_ROWS, MAX_ROWS, BULK = 256, 512, 200_000_000  # BULK: MACs
PART_MACS = 16_000_000  # MACs: fewer are done before another thread has woken up

Part = TypeVar("Part")
Result = TypeVar("Result")


class Workers:
    """Threads that take rows in turn, each running onnxruntime on rows of its own. Who asks is one of them.

    So no core waits for another within a graph, as it does where one run is spread over all, and pixels are converted
    on all cores too. The others are started when first needed, sleep when there is nothing to do, and are started anew
    in a process that was forked. batch_size: rows that one takes at a time, by default what suits.
    """

    def __init__(self, threads: int, batch_size: int | None = None) -> None:
        self.threads = threads
        self._batch_size = None if batch_size is None else positive("batch_size", batch_size)
        self._pool: ThreadPoolExecutor | None = None
        abandon_in_children(self)

    def cut(self, n: int, work: int, batch_size: int | None = None) -> Iterator[slice]:
        """N rows in equal parts and a tail: of batch_size rows, or as many for every thread, up to some hundreds each.

        work: MACs of one row. Where there are several parts, each is worth a thread's waking. Raises
        InputError for a batch_size below 1.
        """
        chosen = self._batch_size if batch_size is None else positive("batch_size", batch_size)
        if chosen is not None:
            return slices(n, chosen)
        most = min(MAX_ROWS, max(MIN_ROWS, BULK // max(1, work)))
        rounds = math.ceil(n / (most * self.threads))
        size = math.ceil(n / max(1, rounds * self.threads))
        return slices(n, min(most, max(size, math.ceil(PART_MACS / max(1, work)))))

    def in_order(self, run: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """What `run` makes of each part, in their order.

        Parts are taken here, one after the other, and only a few more than have been given back. Who asks works too,
        while it waits for the next; the others go on meanwhile.
        """
        remaining = iter(parts)
        first = list(itertools.islice(remaining, 2))
        if self.threads == 1 or len(first) < 2:
            yield from map(run, itertools.chain(first, remaining))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, "aegen")  # one thread is who asks
        pool, process = self._pool, os.getpid()
        waiting = collections.deque[tuple[Part, Future[Result]]]()

        def begun(part: Part) -> Future[Result]:
            try:
                return pool.submit(run, part) if os.getpid() == process else Future()
            except RuntimeError:  # the main thread has ended, and pools with it
                return Future()

        def first_result() -> Result:
            if os.getpid() != process:  # forked: nobody works on what the parent's threads were given
                return run(waiting.popleft()[0])
            for place, (part, future) in enumerate(tuple(waiting)):
                if waiting[0][1].done():
                    break
                if future.cancel():  # nobody has begun it
                    waiting[place] = part, _ended(run, part)
            return waiting.popleft()[1].result()

        try:
            for part in itertools.chain(first, remaining):
                waiting.append((part, begun(part)))
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
        axes: tuple[int, ...],
        dtype: np.dtype,
        work: int,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """What `run` makes of rows (n, ...), as one array (n, *axes) of dtype. work, batch_size: as of `cut`."""
        if len(rows) == 1:  # microseconds count here
            if batch_size is not None:
                positive("batch_size", batch_size)
            return run(rows)
        parts = self.cut(len(rows), work, batch_size)
        results = np.empty((len(rows), *axes), dtype)

        def fill(part: slice) -> None:
            results[part] = run(rows[part])

        collections.deque(self.in_order(fill, parts), maxlen=0)
        return results

    def abandon(self) -> None:
        """In a forked child, where the threads do not exist: forget them."""
        self._pool = None


def _ended(run: Callable[[Part], Result], part: Part) -> Future[Result]:
    """What came of running it here and now. An error waits its turn."""
    future = Future[Result]()
    try:
        future.set_result(run(part))
    except Exception as error:
        future.set_exception(error)
    return future


def slices(n: int, size: int) -> Iterator[slice]:
    """Equal parts and a tail."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))

"""Many rows, a batch at a time: memory stays at what one batch takes, however many there are."""

from collections.abc import Callable, Iterator

import numpy as np

BATCH = 1024  # pictures in one onnxruntime call: larger ones are no faster and take more memory


def slices(n: int, size: int) -> Iterator[slice]:
    """Equal batches and a tail."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def in_batches(
    run: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, size: int, axes: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """What `run` makes of all rows, (n, *axes) of dtype; it is called with `size` of them at most."""
    if 0 < len(rows) <= size:
        return run(rows)
    results = np.empty((len(rows), *axes), dtype)
    for part in slices(len(rows), size):
        results[part] = run(rows[part])
    return results

"""Random numbers from a seed: streams that are read row by row, the same however many rows are read at once."""

from typing import Any

import numpy as np

from .errors import InputError, shown
from .forks import no_fork

NORMALS, UNIFORMS = 0, 1  # streams of a seed
STRATA = 1000  # small enough for a few thousand images to hold each class as often as it should be there


class Noise:
    """Random numbers from a seed, as long streams however they are cut.

    Normals and uniforms have spawned streams of their own, so that a prior which draws both from one seed shifts
    neither. A seed of None is fresh entropy. Raises InputError when the seed is no whole number from 0.
    """

    def __init__(self, seed: int | None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise InputError("seed", found=shown(seed), expected="a whole number from 0, or None")
        self._seed = _numpy_random().SeedSequence().entropy if seed is None else int(seed)
        self._strata = np.empty(0)  # what is left of the last block
        # Not functools.cached_property: up to Python 3.11 it has a lock that a forked child may inherit taken.
        self._streams: dict[int, np.random.Generator] = {}

    def _stream(self, number: int) -> "np.random.Generator":
        """The child of this number of `SeedSequence(seed)`. Most draws need one alone, and it takes time to start.

        The type is in quotes: numpy.random is imported when it is first used, while networks are being opened.
        """
        if number not in self._streams:
            random = _numpy_random()
            sequence = random.SeedSequence(self._seed, spawn_key=(number,))
            self._streams[number] = random.Generator(random.PCG64(sequence))
        return self._streams[number]

    def normals(self, n: int, latent_dim: int) -> np.ndarray:
        """The next n rows of standard normals, float32 (n, latent_dim)."""
        return self._stream(NORMALS).standard_normal((n, latent_dim), dtype=np.float32)

    def uniforms(self, n: int) -> np.ndarray:
        """The next n numbers in [0, 1), float64 (n,)."""
        return self._stream(UNIFORMS).random(n)

    def strata(self, n: int) -> np.ndarray:
        """The next n numbers in [0, 1), float64 (n,), each as likely anywhere; but of every STRATA in a row, one comes
        from each of as many equal parts, in random order. What they choose is then as frequent as it should be: of
        labels, chance alone would move a set of images further from real ones than all faults of its images.

        Source: stratified sampling, W. Cochran, Sampling Techniques, 1977, chapter 5.
        """
        blocks = [self._strata]
        for _ in range(-(-(n - len(self._strata)) // STRATA)):
            blocks.append((self._stream(UNIFORMS).permutation(STRATA) + self._stream(UNIFORMS).random(STRATA)) / STRATA)
        row = np.concatenate(blocks)
        self._strata = row[n:]
        return row[:n]


def _numpy_random() -> Any:
    """numpy.random, imported when it is first used: a fork waits until that is done."""
    with no_fork():
        return np.random

"""The random numbers of a seed: endless sequences, each number of which can be computed on its own.

A number depends only on the seed and on its index in the sequence, not on the numbers before it. Indices begin at 0.
The sequences are defined as follows, so that other programs can compute the same numbers.

Words: a stream is an endless sequence of 64-bit words. Word w is output w mod 4 of Philox4x64-10 with the key
(seed, stream number) and the counter w div 4. The counter consists of four 64-bit words, the least significant first.
Every machine computes the same words.
Source: J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.

Normals, stream 0: each index has a vector of d normals; d is the dimension of the noise. The vector at index i is made
from the m = ceil(d / 2) words i * m to i * m + m - 1. Each word gives two normals by the Box-Muller transform: its high
32 bits h give u = (h + 0.5) / 2^32, its low 32 bits l give v = (l + 0.5) / 2^32, and the normals are
sqrt(-2 ln u) cos(2 pi v) and sqrt(-2 ln u) sin(2 pi v), in this order. If d is odd, the last normal is dropped. The
normals are rounded to float32. Machines and programs may compute them with errors of up to 1e-6.
Source: G. Box, M. Muller, A Note on the Generation of Random Normal Deviates, 1958.

Uniforms, stream 1: the number at index i is the top 53 bits of word i, as an integer, divided by 2^53.

Strata, stream 2: stratified uniform numbers. Indices 1000 k to 1000 k + 999 form block k. The rank r of index i, from 0
to 999, is how many of the 1000 words of its block are smaller than word i. The number at index i is (r + u) / 1000,
where the low 32 bits l of word i give u = (l + 0.5) / 2^32. A block therefore has one number in each of 1000 equal
intervals from 0 to 1, in random order.
"""

import functools
import math
import os
from typing import Any

import numpy as np

from .errors import InputError, shown
from .startup import import_late

NORMALS, UNIFORMS, STRATA = 0, 1, 2  # numbers of the three streams, which are the second half of Philox's key
MAX_SEED = 2**64 - 1
LANES = 4  # 64-bit words that Philox computes for one value of its counter
MAX_SIMD_WORDS = 16  # no SIMD instruction of any processor handles more words
CHUNK = 4096  # words that are transformed at a time, so that all intermediate arrays stay in the CPU cache
# How many stratified numbers form a block. A block is small, so that the class frequencies among only a few thousand
# images are already as intended.
BLOCK = 1000


class Noise:
    """The random numbers of a seed, by index. A number does not depend on which other numbers are read before it.

    seed: an integer from 0 to MAX_SEED, or None for a random seed. Raises InputError for anything else.
    """

    def __init__(self, seed: int | None) -> None:
        is_integer = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (is_integer and 0 <= seed <= MAX_SEED):
            raise InputError("seed", found=shown(seed), expected="a whole number from 0 to 2^64 - 1, or None")
        self._seed = int.from_bytes(os.urandom(8), "little") if seed is None else int(seed)
        self._keys = [_FixedKey(np.array([self._seed, stream], np.uint64)) for stream in (NORMALS, UNIFORMS, STRATA)]
        self._kept_block: tuple[int, np.ndarray, np.ndarray] | None = None  # last block: index, words, sorted words

    def normals(self, start: int, n: int, latent_dim: int) -> np.ndarray:
        """Standard normals at the indices start to start + n - 1, float32 (n, latent_dim)."""
        words_per_position = -(-latent_dim // 2)
        first, count = start * words_per_position, n * words_per_position
        # Transform whole groups of MAX_SIMD_WORDS words. Otherwise numpy might compute the last values of the array
        # with other instructions than the rest, and the last bit of a normal would depend on start and n.
        before = first % MAX_SIMD_WORDS
        after = -(before + count) % MAX_SIMD_WORDS
        pairs = _box_muller(self._words(NORMALS, first - before, before + count + after))
        normals = pairs[before : before + count].reshape(n, 2 * words_per_position)
        return np.ascontiguousarray(normals[:, :latent_dim])

    def uniforms(self, start: int, n: int) -> np.ndarray:
        """Uniform numbers in [0, 1) at the indices start to start + n - 1, float64 (n,)."""
        uniforms: np.ndarray = (self._words(UNIFORMS, start, n) >> np.uint64(11)) * 2.0**-53
        return uniforms

    def strata(self, start: int, n: int) -> np.ndarray:
        """Stratified uniform numbers in [0, 1) at the indices start to start + n - 1, float64 (n,).

        Each block of BLOCK numbers has one number in each of BLOCK equal intervals, in random order. Classes chosen by
        these numbers are therefore almost exactly as frequent as intended. With independent numbers the class
        frequencies would vary, and this alone would change the measured distance between generated and real images more
        than all defects of the generated images do.
        Source: stratified sampling, W. Cochran, Sampling Techniques, 1977, chapter 5.
        """
        strata = np.empty(n)
        for index in range(start // BLOCK, -(-(start + n) // BLOCK)):
            words, in_order = self._block(index)
            rows = slice(max(start, index * BLOCK), min(start + n, (index + 1) * BLOCK))
            words = words[rows.start - index * BLOCK : rows.stop - index * BLOCK]
            offsets = ((words & np.uint64(2**32 - 1)) + 0.5) * 2.0**-32
            strata[rows.start - start : rows.stop - start] = np.searchsorted(in_order, words) + offsets
        strata /= BLOCK
        return strata

    def _block(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The random words of block number `index` of the strata, in their order and sorted, both uint64 (BLOCK,).

        The most recent block is cached, because the next call often needs it again.
        """
        kept = self._kept_block  # read only once, because another thread may replace it at any time
        if kept is None or kept[0] != index:
            words = self._words(STRATA, BLOCK * index, BLOCK)
            kept = self._kept_block = index, words, np.sort(words)
        return kept[1:]

    def _words(self, stream: int, start: int, n: int) -> np.ndarray:
        """The n random 64-bit words of a stream from index `start` on, uint64 (n,). stream: the stream's number."""
        counter, skipped = divmod(start, LANES)
        # Set the counter one lower, because numpy increments it before it computes the first words.
        philox = _philox()(self._keys[stream], counter=(counter - 1) % 2**256)
        words: np.ndarray = philox.random_raw(skipped + n)[skipped:]
        return words


def _box_muller(words: np.ndarray) -> np.ndarray:
    """Two standard normals for each word: words uint64 (n,) -> float32 (n, 2)."""
    pairs = np.empty((len(words), 2), np.float32)
    halves = words.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
    for start in range(0, len(words), CHUNK):
        low, high = halves[start : start + CHUNK].T
        # The logarithm needs float64, because u is close to 1 where the radius is small.
        radius = np.sqrt(-2 * np.log((high + 0.5) * 2.0**-32)).astype(np.float32)
        # A signed integer gives an angle from -pi to pi, which float32 holds more exactly than one up to 2 pi.
        angle = ((low.view("<i4") + 0.5) * (2 * math.pi * 2.0**-32)).astype(np.float32)
        np.multiply(radius, np.cos(angle), out=pairs[start : start + CHUNK, 0])
        np.multiply(radius, np.sin(angle), out=pairs[start : start + CHUNK, 1])
    return pairs


class _FixedKey:
    """A numpy seed sequence that gives Philox a fixed key, uint64 (2,).

    The constructor `Philox(key=key)` gives the same numbers, but it first collects random bits that it does not use,
    which takes three times as long as the rest of the constructor.
    """

    def __init__(self, key: np.ndarray) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        """Return the fixed key, uint64 (2,), for any arguments. Philox calls this method."""
        return self._key


@functools.cache
def _philox() -> Any:
    """The class in numpy for Philox4x64-10. It is imported on first use, because many programs never sample."""
    random = import_late("numpy.random")
    random.bit_generator.ISeedSequence.register(_FixedKey)
    return random.Philox

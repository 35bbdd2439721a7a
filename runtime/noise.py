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

import math
import os

import numpy as np

from .errors import InputError, shown
from .philox import words

NORMALS, UNIFORMS, STRATA = 0, 1, 2  # numbers of the three streams; each is the second half of Philox's key
MAX_SEED = 2**64 - 1
MAX_SIMD_WORDS = 16  # one SIMD instruction of any processor handles at most this many words
CHUNK = 4096  # number of words transformed at a time; all intermediate arrays then fit into the CPU cache
# How many stratified numbers form a block. A block is small, so that the class frequencies among only a few thousand
# images are already as intended.
BLOCK = 1000
LOW_BITS = np.uint64(2**32 - 1)


class Noise:
    """The random numbers of a seed, by index. A number does not depend on the numbers that were read before it.

    seed: an integer from 0 to MAX_SEED, or None for a random seed. Raises InputError for anything else.
    """

    def __init__(self, seed: int | None) -> None:
        is_integer = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (is_integer and 0 <= seed <= MAX_SEED):
            raise InputError("seed", found=shown(seed), expected="a whole number from 0 to 2^64 - 1, or None")
        self._seed = int.from_bytes(os.urandom(8), "little") if seed is None else int(seed)
        self._kept_block: tuple[int, np.ndarray, np.ndarray] | None = None  # index, words, sorted words

    def normals(self, start: int, n: int, latent_dim: int) -> np.ndarray:
        """Standard normals at the indices start to start + n - 1, float32 (n, latent_dim)."""
        words_per_position = -(-latent_dim // 2)
        first, count = start * words_per_position, n * words_per_position
        # Transform whole groups of MAX_SIMD_WORDS words. Otherwise numpy might compute the last values of the array
        # with other instructions than the rest, and the last bit of a normal would depend on start and n.
        before = first % MAX_SIMD_WORDS
        after = -(before + count) % MAX_SIMD_WORDS
        pairs = _box_muller(words(self._seed, NORMALS, first - before, before + count + after))
        normals = pairs[before : before + count].reshape(n, 2 * words_per_position)
        return np.ascontiguousarray(normals[:, :latent_dim])

    def uniforms(self, start: int, n: int) -> np.ndarray:
        """Uniform numbers in [0, 1) at the indices start to start + n - 1, float64 (n,)."""
        uniforms: np.ndarray = (words(self._seed, UNIFORMS, start, n) >> np.uint64(11)) * 2.0**-53
        return uniforms

    def strata(self, start: int, n: int) -> np.ndarray:
        """Stratified uniform numbers in [0, 1) at the indices start to start + n - 1, float64 (n,).

        Each block of BLOCK numbers has one number in each of BLOCK equal intervals, in random order. Classes chosen by
        these numbers are therefore almost exactly as frequent as intended. With independent numbers the class
        frequencies would vary, and this alone would change the measured distance between generated and real images more
        than all defects of the generated images do.
        Source: stratified sampling, W. Cochran, Sampling Techniques, 1977, chapter 5.
        """
        end = start + n
        blocks = range(start // BLOCK, -(-end // BLOCK))
        parts = [self._block_part(i, max(start - i * BLOCK, 0), min(end - i * BLOCK, BLOCK)) for i in blocks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0)])

    def _block_part(self, index: int, start: int, stop: int) -> np.ndarray:
        """The stratified numbers `start` to `stop` - 1 of the block with this index, float64 (stop - start,)."""
        kept = self._kept_block  # read the attribute once, because another thread may change it at any time
        if kept is None or kept[0] != index:
            block = words(self._seed, STRATA, BLOCK * index, BLOCK)
            if stop - start == 1:  # for a single number, counting smaller words is 4 times as fast as sorting
                word = block[start:stop]
                single: np.ndarray = (np.count_nonzero(block < word) + _fractions(word)) / BLOCK
                return single
            kept = self._kept_block = index, block, np.sort(block)  # the next call often needs this block again
        _, block, in_order = kept
        part = block[start:stop]
        strata: np.ndarray = (np.searchsorted(in_order, part) + _fractions(part)) / BLOCK
        return strata


def _fractions(words: np.ndarray) -> np.ndarray:
    """A uniform number in (0, 1) from the low 32 bits of each word: words uint64 (n,) -> float64 (n,)."""
    fractions: np.ndarray = ((words & LOW_BITS) + 0.5) * 2.0**-32
    return fractions


def _box_muller(words: np.ndarray) -> np.ndarray:
    """Two standard normals for each word: words uint64 (n,) -> float32 (n, 2)."""
    pairs = np.empty((len(words), 2), np.float32)
    halves = words.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
    for start in range(0, len(words), CHUNK):
        low, high = halves[start : start + CHUNK].T
        # The logarithm needs float64, because u is close to 1 where the radius is small.
        radius = high + 0.5
        radius *= 2.0**-32
        np.log(radius, out=radius)
        radius *= -2
        np.sqrt(radius, out=radius)
        # Read as a signed integer, a word gives an angle from -pi to pi. Float32 holds it more exactly than one from 0
        # to 2 pi.
        angle = low.view("<i4") + 0.5
        angle *= 2 * math.pi * 2.0**-32
        lengths, angles = radius.astype(np.float32), angle.astype(np.float32)
        chunk = pairs[start : start + CHUNK]
        np.multiply(lengths, np.cos(angles), out=chunk[:, 0])
        np.multiply(lengths, np.sin(angles), out=chunk[:, 1])
    return pairs

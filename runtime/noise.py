"""The random numbers of a seed: endless rows of places, any of which is computed directly.

The numbers depend on seed and place alone. They are defined as follows, so that other programs can compute the same.

Words: a stream is a row of 64-bit words. Word w is lane w mod 4 of Philox4x64-10 with the key (seed, stream) and the
counter w div 4, whose four words begin with the least significant one. Every machine computes the same words.
Source: J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.

Normals, stream 0: place i holds d normals, and takes the m = ceil(d / 2) words from word i * m on. Each word gives two
normals by the Box-Muller transform: its high 32 bits h give u = (h + 0.5) / 2^32, its low 32 bits l give
v = (l + 0.5) / 2^32, and the normals are sqrt(-2 ln u) cos(2 pi v) and sqrt(-2 ln u) sin(2 pi v), in this order. They
are computed in float64 and rounded to float32. Where d is odd, the last one of a place is left out.
Source: G. Box, M. Muller, A Note on the Generation of Random Normal Deviates, 1958.

Uniforms, stream 1: place i is the top 53 bits of word i, as an integer, divided by 2^53.

Strata, stream 2: each 1000 places from a multiple of 1000 on are a block, whose places divide the range from 0 to 1
evenly, in random order. The rank r of place i, from 0 to 999, is how many of the 1000 words of its block are smaller
than word i. The number is (r + u) / 1000, where the low 32 bits l of word i give u = (l + 0.5) / 2^32.
"""

import functools
import math
import os
from typing import Any

import numpy as np

from .errors import InputError, shown
from .startup import import_late

NORMALS, UNIFORMS, STRATA = 0, 1, 2  # streams of a seed
MAX_SEED = 2**64 - 1
LANES = 4  # words of one Philox counter
MAX_SIMD_WORDS = 8  # words that one processor instruction handles at most
BLOCK = 1000  # places that share the strata: a few thousand images then hold each class as often as they should


class Noise:
    """The random numbers of a seed, by place: the same whatever is read before, beside or after them.

    seed: an integer from 0 to MAX_SEED, or None for a random one. Raises InputError for anything else.
    """

    def __init__(self, seed: int | None) -> None:
        is_integer = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if seed is not None and not (is_integer and 0 <= seed <= MAX_SEED):
            raise InputError("seed", found=shown(seed), expected="a whole number from 0 to 2^64 - 1, or None")
        self._seed = int.from_bytes(os.urandom(8), "little") if seed is None else int(seed)
        self._keys = [_FixedKey(np.array([self._seed, stream], np.uint64)) for stream in (NORMALS, UNIFORMS, STRATA)]
        self._kept_block: tuple[int, np.ndarray, np.ndarray] | None = None  # an index, and what `_block` returns for it

    def normals(self, start: int, n: int, latent_dim: int) -> np.ndarray:
        """Standard normals of the places start to start + n, float32 (n, latent_dim)."""
        words_per_position = -(-latent_dim // 2)
        first, count = start * words_per_position, n * words_per_position
        # Words are transformed from a multiple of MAX_SIMD_WORDS on and up to one: numpy may compute the last values of
        # an array in another way than the others, and the last bit of a normal would then depend on start and n.
        before = first % MAX_SIMD_WORDS
        after = -(before + count) % MAX_SIMD_WORDS
        pairs = _box_muller(self._words(NORMALS, first - before, before + count + after))
        normals = pairs[before : before + count].reshape(n, 2 * words_per_position)
        return np.ascontiguousarray(normals[:, :latent_dim])

    def uniforms(self, start: int, n: int) -> np.ndarray:
        """Uniform numbers in [0, 1) of the places start to start + n, float64 (n,)."""
        uniforms: np.ndarray = (self._words(UNIFORMS, start, n) >> np.uint64(11)) * 2.0**-53
        return uniforms

    def strata(self, start: int, n: int) -> np.ndarray:
        """Stratified uniform numbers in [0, 1) of the places start to start + n, float64 (n,).

        Each block of BLOCK places holds one number of each of BLOCK equal intervals, in random order. Classes that are
        chosen by them are as frequent as intended: independent numbers would vary the class frequencies, and that alone
        would move generated images further from real ones than all faults of the images.
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
        """The words of a block of strata, and the same in ascending order, both uint64 (BLOCK,).

        The last block is kept, because the next call often needs it again.
        """
        kept = self._kept_block  # read once, because other threads replace it
        if kept is None or kept[0] != index:
            words = self._words(STRATA, BLOCK * index, BLOCK)
            kept = self._kept_block = index, words, np.sort(words)
        return kept[1:]

    def _words(self, stream: int, start: int, n: int) -> np.ndarray:
        """Words start to start + n of a stream, uint64 (n,)."""
        counter, skipped = divmod(start, LANES)
        # numpy increments the counter before it computes the first words.
        philox = _philox()(self._keys[stream], counter=(counter - 1) % 2**256)
        words: np.ndarray = philox.random_raw(skipped + n)[skipped:]
        return words


def _box_muller(words: np.ndarray) -> np.ndarray:
    """Words, uint64 (n,), to pairs of standard normals, float32 (n, 2)."""
    halves = words.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
    low, high = halves[:, 0], halves[:, 1]
    radius = np.sqrt(-2 * np.log((high + 0.5) * 2.0**-32))
    angle = (low + 0.5) * (2 * math.pi * 2.0**-32)
    pairs = np.empty((len(words), 2), np.float32)
    pairs[:, 0] = radius * np.cos(angle)
    pairs[:, 1] = radius * np.sin(angle)
    return pairs


class _FixedKey:
    """A seed sequence of numpy that is the key of Philox, uint64 (2,).

    With `Philox(key=key)` numpy first collects random bits for a seed sequence that it does not use, which takes three
    times as long as everything else.
    """

    def __init__(self, key: np.ndarray) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray:
        """The key, uint64 (2,)."""
        return self._key


@functools.cache
def _philox() -> Any:
    """The class Philox4x64-10 of numpy, imported on first use: programs that do not sample do without numpy.random."""
    random = import_late("numpy.random")
    random.bit_generator.ISeedSequence.register(_FixedKey)
    return random.Philox

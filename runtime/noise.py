"""The random numbers of a seed: endless rows of places, any of which is computed directly.

The numbers depend on seed and place alone. They are defined as follows, so that other programs can compute the same.

Words: a stream is a row of 64-bit words. Word w is lane w mod 4 of Philox4x64-10 with the key (seed, stream) and the
counter w div 4, which fills the first of the four counter words, the least significant one. Every machine computes the
same words. Source: J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.

Normals, stream 0: place i holds d normals, and takes the m = ceil(d / 2) words from word i * m on. Each word gives two
normals by the Box-Muller transform: its high 32 bits h give u = (h + 0.5) / 2^32, its low 32 bits l give
v = (l + 0.5) / 2^32, and the normals are sqrt(-2 ln u) cos(2 pi v) and sqrt(-2 ln u) sin(2 pi v), in this order. They
are computed in float64 and rounded to float32. Where d is odd, the last one of a place is left out.
Source: G. Box, M. Muller, A Note on the Generation of Random Normal Deviates, 1958.

Uniforms, stream 1: place i is the top 53 bits of word i, as an integer, divided by 2^53.

Strata, stream 2: each 1000 places from a multiple of 1000 on are a block, whose places divide the range from 0 to 1
evenly, in random order. Place i has the words 2i and 2i + 1. Its rank r is the number of words smaller than its first
word among the first words of the places of its block, from 0 to 999. The number is (r + u) / 1000, where u is the top
43 bits of its second word, as an integer, divided by 2^43.
"""

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
REST_BITS = 22  # low bits of an angle of 32 bits
CIRCLE = np.exp(2j * np.pi * np.arange(2 ** (32 - REST_BITS)) / 2 ** (32 - REST_BITS))  # points of the unit circle
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

    def normals(self, start: int, n: int, latent_dim: int) -> np.ndarray:
        """Standard normals of the places start to start + n, float32 (n, latent_dim)."""
        words_per_position = math.ceil(latent_dim / 2)
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
        return _unit(self._words(UNIFORMS, start, n), bits=53)

    def strata(self, start: int, n: int) -> np.ndarray:
        """Stratified uniform numbers in [0, 1) of the places start to start + n, float64 (n,).

        Each block of BLOCK places holds one number of each of BLOCK equal intervals, in random order. Classes that are
        chosen by them are as frequent as intended: independent numbers would vary the class frequencies, and that alone
        would move generated images further from real ones than all faults of the images.
        Source: stratified sampling, W. Cochran, Sampling Techniques, 1977, chapter 5.
        """
        skipped = start % BLOCK
        blocks = math.ceil((skipped + n) / BLOCK)
        words = self._words(STRATA, 2 * (start - skipped), 2 * blocks * BLOCK).reshape(-1, 2)
        ranked, offsets = np.ascontiguousarray(words[:, 0]), words[skipped : skipped + n, 1]
        ranks = np.empty(n)
        for first in range(0, blocks * BLOCK, BLOCK):
            block = ranked[first : first + BLOCK]
            part = slice(max(first, skipped), min(first + BLOCK, skipped + n))
            ranks[part.start - skipped : part.stop - skipped] = np.searchsorted(np.sort(block), ranked[part])
        strata: np.ndarray = (ranks + _unit(offsets, bits=43)) / BLOCK  # of 43 bits the sum is exact, and below BLOCK
        return strata

    def _words(self, stream: int, start: int, n: int) -> np.ndarray:
        """Words start to start + n of a stream, uint64 (n,)."""
        counter, skipped = divmod(start, LANES)
        key = np.array([self._seed, stream], np.uint64)
        # numpy increments the counter before it computes the first words.
        words: np.ndarray = _philox(key, (counter - 1) % 2**256).random_raw(skipped + n)[skipped:]
        return words


def _box_muller(words: np.ndarray) -> np.ndarray:
    """Words, uint64 (n,), to pairs of standard normals, float32 (n, 2)."""
    halves = words.astype("<u8", copy=False).view("<u4").reshape(-1, 2)
    low, high = halves[:, 0], halves[:, 1]
    radius = np.sqrt(-2 * np.log((high + 0.5) * 2.0**-32))
    # The top bits of the angle select a point of the circle from a table, and the rest turns that point a little
    # further. The Taylor series is exact to 1e-11. All this takes a third of the time of cos and sin.
    rest = ((low & np.uint32(2**REST_BITS - 1)) + 0.5) * (2 * math.pi * 2.0**-32)
    square = rest * rest
    turn = np.empty(len(words), np.complex128)
    turn.real = 1 - square * (0.5 - square / 24)
    turn.imag = rest * (1 - square / 6)
    points: np.ndarray = radius * (CIRCLE[low >> np.uint32(REST_BITS)] * turn)
    return points.view(np.float64).astype(np.float32).reshape(-1, 2)


def _unit(words: np.ndarray, bits: int) -> np.ndarray:
    """The top bits of words, uint64 (n,), as numbers in [0, 1), float64 (n,)."""
    numbers: np.ndarray = (words >> np.uint64(64 - bits)) * 2.0**-bits
    return numbers


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


def _philox(key: np.ndarray, counter: int) -> Any:
    """Philox4x64-10 of numpy with a key, uint64 (2,); its first words are those of counter + 1.

    numpy.random is imported on first use, because programs that do not sample do without it.
    """
    random: Any = import_late("numpy.random")
    random.bit_generator.ISeedSequence.register(_FixedKey)
    return random.Philox(_FixedKey(key), counter=counter)

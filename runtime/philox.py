"""Random 64-bit words of the generator Philox4x64-10, each of which can be computed on its own.

A stream is an endless sequence of words. Word w is output w mod 4 of Philox4x64-10 with the key (seed, stream number)
and the counter w div 4. The counter consists of four 64-bit words, the least significant first.
Source: J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011.

Two implementations give the same words. `numpy.random` is about ten times as fast, but its import takes as long as
sampling hundreds of images. The first calls in a process therefore compute their words with arrays of numpy.
"""

import itertools
import sys
import threading

import numpy as np

from .startup import import_late

LANES = 4  # words that Philox computes for one value of its counter
ROUNDS = 10
# In each round, Philox4x64 multiplies the words 0 and 2 of a block by these two constants.
MULTIPLIERS = np.array([[0xD2E7470EE14C6C93], [0xCA5A826395121157]], np.uint64)
# After each round, Philox4x64 adds these constants to the two halves of the key.
KEY_STEPS = np.array([[0x9E3779B97F4A7C15], [0xBB67AE8584CAA73B]], np.uint64)
LOW_BITS = np.uint64(2**32 - 1)
HALF = np.uint64(32)  # number of bits in half a word
MULTIPLIERS_LOW, MULTIPLIERS_HIGH = MULTIPLIERS & LOW_BITS, MULTIPLIERS >> HALF
# The first FIRST_CALLS calls do not import numpy.random if each needs at most FIRST_WORDS words. All of these calls
# together take less time than the import.
FIRST_CALLS, FIRST_WORDS = 16, 4096
NO_WORDS = np.zeros(LANES, np.uint64)

_calls = itertools.count()
_local = threading.local()  # its attribute `philox` is one numpy generator for each thread


def words(seed: int, stream: int, start: int, n: int) -> np.ndarray:
    """The words at the indices start to start + n - 1 of a stream, uint64 (n,).

    seed, stream: the key, two integers from 0 to 2^64 - 1. start: any integer from 0.
    """
    counter, skipped = divmod(start, LANES)
    count = skipped + n
    is_small = count <= FIRST_WORDS and counter + count < 2**64
    if is_small and "numpy.random" not in sys.modules and next(_calls) < FIRST_CALLS:
        result = computed_words(seed, stream, counter, -(-count // LANES))[:count]
    else:
        result = _numpy_words(seed, stream, counter, count)
    return result[skipped:]


def computed_words(seed: int, stream: int, counter: int, blocks: int) -> np.ndarray:
    """The words of the counters counter to counter + blocks - 1, uint64 (4 * blocks,), without numpy.random.

    The parameters are those of `words`; all counters are below 2^64.
    """
    key = np.array([[seed], [stream]], np.uint64)
    even, odd = np.zeros((2, 2, blocks), np.uint64)  # the words 0 and 2, and the words 1 and 3, of each block
    even[0] = np.arange(blocks, dtype=np.uint64) + np.uint64(counter)
    for _ in range(ROUNDS):
        low, high = even & LOW_BITS, even >> HALF
        # Compute the upper 64 bits of the 128-bit products MULTIPLIERS * even from products of 32-bit halves.
        middle = MULTIPLIERS_HIGH * low + (MULTIPLIERS_LOW * low >> HALF)
        overflow = MULTIPLIERS_LOW * high + (middle & LOW_BITS) >> HALF
        upper = MULTIPLIERS_HIGH * high + (middle >> HALF) + overflow
        even, odd = upper[::-1] ^ odd ^ key, (MULTIPLIERS * even)[::-1]
        key = key + KEY_STEPS
    return np.stack([even[0], odd[0], even[1], odd[1]], 1).reshape(-1)


def _numpy_words(seed: int, stream: int, counter: int, n: int) -> np.ndarray:
    """The first n words from a counter on, uint64 (n,), by numpy.random. seed, stream: see `words`."""
    # Set the state of one generator for each thread, because making a new generator takes four times as long.
    try:
        philox = _local.philox
    except AttributeError:
        philox = _local.philox = import_late("numpy.random").Philox(key=0)
    before = (counter - 1) % 2**256  # numpy increments the counter before it computes the first words
    counters = [before >> bits & 2**64 - 1 for bits in (0, 64, 128, 192)]
    state = {"counter": np.array(counters, np.uint64), "key": np.array([seed, stream], np.uint64)}
    philox.state = {
        "bit_generator": "Philox",
        "state": state,
        "buffer": NO_WORDS,
        "buffer_pos": LANES,  # numpy's buffer of words that were computed but not yet returned is empty
        "has_uint32": 0,
        "uinteger": 0,
    }
    result: np.ndarray = philox.random_raw(n)
    return result

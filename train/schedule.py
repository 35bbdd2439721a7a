"""The learning-rate schedule of every training."""

import math
from collections.abc import Callable


def warm_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Fraction of the peak learning rate at a step: a linear rise, then half a cosine down to zero.

    warmup: fraction of the `steps` in which the rate rises.
    Source: I. Loshchilov, F. Hutter, SGDR, 2017, equation 5, without restarts.
    """
    rise = warmup * steps

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return rate

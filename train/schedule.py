"""How the learning rate goes, in everything that is trained here."""

import math
from collections.abc import Callable


def warm_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Share of the peak learning rate at a step: a linear rise, then half a cosine down to zero.

    Source: I. Loshchilov, F. Hutter, SGDR, 2017, equation 5, without restarts.
    """
    rise = warmup * steps

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return rate

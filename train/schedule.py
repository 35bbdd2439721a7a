"""The learning-rate schedule that all trainings use."""

import math
from collections.abc import Callable


def warm_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Make a function of the step that returns the fraction of the peak learning rate.

    The fraction rises linearly, then falls along half a cosine to zero. warmup: fraction of the `steps` in which it
    rises.
    Source: I. Loshchilov, F. Hutter, SGDR, 2017, equation 5, without restarts.
    """
    rise = warmup * steps

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return rate

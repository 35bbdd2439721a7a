"""The learning-rate schedule of all training: of autoencoders, priors, classifiers and refinement."""

import math
from collections.abc import Callable


def warm_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    """Return a function from a training step, counted from 0, to the learning rate as a fraction of its peak.

    The fraction rises linearly to 1, then falls along half a cosine to 0. steps: number of all training steps. warmup:
    fraction of these steps in which the learning rate rises.
    Source: I. Loshchilov, F. Hutter, SGDR, 2017, equation 5, without restarts.
    """
    rise = warmup * steps

    def rate(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return rate

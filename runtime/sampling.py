"""Sampling in batches on several threads: random numbers of a seed are mapped to latents, and latents to images."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .arguments import Label, checked_count, checked_start, checked_steps, checked_temperature
from .manifest import Manifest
from .noise import Noise
from .prior_set import PriorSet
from .session import Network
from .startup import open_in_background
from .workers import Result, Workers


class SampleRequest(NamedTuple):
    """The arguments of `Autoencoder.sample`, which `Sampler.run` checks."""

    n: int
    seed: int | None
    start: int
    prior: str | None
    label: Label | None
    temperature: float | None
    batch_size: int | None


class Sampler(NamedTuple):
    """Samples latents of an artifact's priors on several threads."""

    manifest: Manifest
    priors: PriorSet
    workers: Workers

    def run(
        self,
        request: SampleRequest,
        finish: Callable[[np.ndarray, slice], Result],
        networks: Sequence[Network] = (),
        macs: int = 0,
    ) -> Iterator[Result]:
        """Sample n latents in consecutive batches, and yield `finish(latents, part)` for each batch, in order.

        finish: a function of two arguments, which any thread may call: the m latents of a batch, float32 (m, d), and
        the slice of their positions among the n samples. networks: the networks that `finish` runs. macs: the
        multiply-accumulates of `finish` for one latent. Raises InputError for a bad argument, before anything is
        sampled.
        """
        temperature = checked_temperature(request.temperature, self.manifest.default_temperature)
        stream, n, start = Noise(request.seed), checked_count("n", request.n), checked_start(request.start)
        name = self.priors.name(request.prior)
        parts = self.workers.cut(n, macs + self.priors.macs(name), request.batch_size)
        classes = self.priors.classes(request.label, n)
        if self.workers.threads > 1:
            open_in_background([*self.priors.networks(name), *networks])
        prior = self.priors.prior(name, classes, start)

        def sampled(part: slice) -> Result:
            noise = prior.noise(stream, start + part.start, part.stop - part.start)
            return finish(self.priors.latents(prior, noise, temperature), part)

        return self.workers.in_order(sampled, parts)

    def walks(
        self, n: int, start: int, steps: int, seed: int | None, label: int | str | None, temperature: float | None
    ) -> Iterator[np.ndarray]:
        """Yield paths between samples of a learned prior. A path is an array of latents, float32 (steps, d).

        n, start: the paths are those at indices start to start + n - 1 of the seed's sequence. Raises InputError for a
        bad argument or if there is no learned prior, before anything is sampled.
        """
        steps = checked_steps(steps)
        scale = checked_temperature(temperature, self.manifest.default_temperature)
        prior = self.priors.learned(self.priors.learned_name(), self.priors.class_index(label))
        stream, first = Noise(seed), checked_start(start)
        return (prior.walk(stream, first + index, steps, scale) for index in range(checked_count("n", n)))

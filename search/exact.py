"""Exact nearest rows of an array by Euclidean distance, one block of rows at a time.

The search has two steps. The first step computes for every latent x and query q the score x.(q - c) - |x - c|^2 / 2 in
float32, where c is the mean of all latents. The score equals (c_q - |x - q|^2) / 2 with a constant c_q for each query,
so nearer latents have higher scores. The second step computes distances in float64, from differences, but only for
latents whose score reaches a limit. The limit allows for the rounding errors of the first step, so no nearest latent is
missed. Source of the bound: N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.arguments import as_latents, checked_positive
from ..runtime.arrays import forget
from ..runtime.errors import InputError
from ..runtime.workers import slices
from .candidates import Candidates

GRANULE_ROWS = 1024  # latents in a granule: consecutive latents whose largest norm is stored
BLOCK_SCORES = 2**19  # number of scores computed at a time for several queries, so that they stay in the CPU cache
# Number of latents whose scores are computed at a time for a single query. BLAS threads take long to start compared
# with a product of latents and one query, so few large products are faster than many small ones.
SINGLE_QUERY_ROWS = 2**20
MAX_QUERIES = 256  # number of queries that are searched at a time
SAMPLE_ROWS = 2**13  # number of evenly spaced latents that give a first limit for the scores
PART_ROWS = 2**14  # number of rows converted to float64 at a time
MAX_LATENT = 2.0**50  # largest absolute value of a latent; larger ones, squared, could overflow float32
ROUNDOFF = 2.0**-24  # the largest relative error of rounding to float32
ROUNDOFF_64 = 2.0**-53  # the largest relative error of rounding to float64
TINY = float(np.finfo(np.float32).tiny)  # the largest absolute error of a float32 result that underflows


class ExactSearch:
    """Finds the nearest of n latents, float32 (n, d). The latents may be memory-mapped.

    mean: float64 (d,), any point near the latents; half_norms: float32 (n,), half the squared distance of each latent
    to `mean`. `mean_and_half_norms` computes both.
    """

    def __init__(self, latents: np.ndarray, mean: np.ndarray, half_norms: np.ndarray) -> None:
        # Use views as plain arrays, because slicing a numpy.memmap takes a microsecond longer.
        self._latents, self._half_norms, self._mean = latents.view(np.ndarray), half_norms.view(np.ndarray), mean
        starts = np.arange(0, len(latents), GRANULE_ROWS)
        self._granule_maxima = np.maximum.reduceat(self._half_norms, starts).astype(np.float64)
        step = -(-len(latents) // SAMPLE_ROWS)
        self._sample, self._sample_half_norms = self._latents[::step].copy(), self._half_norms[::step].copy()

    def nearest(self, queries: ArrayLike, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest latents of each query, nearest first. Of equally near latents, the first one comes first.

        queries: numbers (q, d), or one query (d,). Returns their indices, int64 (q, k), and their Euclidean distances,
        float64 (q, k); or (k,) and (k,) for one query. Distances are exact up to rounding in float64. Raises ShapeError
        for queries of another shape, InputError for values that are not finite or above MAX_LATENT, or unless k is from
        1 to n.
        """
        batch, single = as_latents(queries, self._latents.shape[1])
        if checked_positive("k", k) > len(self._latents):
            raise InputError("k", found=k, expected=f"at most {len(self._latents):,}, the number of latents")
        check_size(batch, "queries")
        indices, squared = np.empty((len(batch), k), np.int64), np.empty((len(batch), k))
        for start in range(0, len(batch), MAX_QUERIES):
            part = slice(start, start + MAX_QUERIES)
            indices[part], squared[part] = self._search(batch[part], k)
        distances = np.sqrt(squared)
        return (indices[0], distances[0]) if single else (indices, distances)

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices and squared distances, (q, k), of the k nearest latents of at most MAX_QUERIES queries (q, d)."""
        nearest, scores = Candidates(self._latents, queries, k), _Scores(queries, self._mean)
        limits = self._first_limits(scores, k)
        for rows, largest in self._blocks(len(queries)):
            values = scores.of(self._latents[rows], self._half_norms[rows])
            needed = scores.below(limits, largest)
            hits = np.flatnonzero(values.max(1) >= needed)
            if len(hits):
                high = values[hits] if len(hits) < len(values) else values
                # Search a flat array, because numpy finds the true values of an array with two axes much more slowly.
                query, row = np.divmod(np.flatnonzero(high >= needed[hits, None]), values.shape[1])
                if nearest.add(hits[query], rows.start + row):
                    limits = np.maximum(limits, scores.at(nearest.squared[:, -1]))
        nearest.merge()
        return nearest.indices, nearest.squared

    def _blocks(self, queries: int) -> Iterator[tuple[slice, float]]:
        """Yield the rows of each block of latents as a slice, and the largest half norm in the block."""
        block_rows = SINGLE_QUERY_ROWS if queries == 1 else BLOCK_SCORES // queries
        granules = max(1, block_rows // GRANULE_ROWS)
        for start in range(0, len(self._granule_maxima), granules):
            rows = slice(start * GRANULE_ROWS, min((start + granules) * GRANULE_ROWS, len(self._latents)))
            yield rows, float(self._granule_maxima[start : start + granules].max())

    def _first_limits(self, scores: "_Scores", k: int) -> np.ndarray:
        """For each query, a score (q,) that its k nearest latents reach, computed from about SAMPLE_ROWS latents."""
        values = scores.of(self._sample, self._sample_half_norms)
        if k > values.shape[1]:
            return np.full(len(values), -np.inf)
        kth = np.partition(values, values.shape[1] - k, axis=1)[:, -k].astype(np.float64)
        return scores.below(kth, float(self._granule_maxima.max())).astype(np.float64)


class _Scores:
    """Computes the scores of latents for queries, float32 (q, d), and a bound on the scores' rounding errors."""

    def __init__(self, queries: np.ndarray, mean: np.ndarray) -> None:
        exact, dim = queries - mean, queries.shape[1]
        self._shifted = exact.astype(np.float32)
        self._constants = np.square(exact).sum(1) + 2 * (exact @ mean)
        self._mean_norm = float(np.sqrt(mean @ mean))
        norms = np.sqrt(np.square(exact).sum(1))
        # The rounding error of a score is at most slope * (largest norm of a latent) + offset + the terms that `below`
        # adds.
        self._slopes = 1.1 * ROUNDOFF * (dim + 3) * norms
        self._error_64 = 16 * (dim + 4) * ROUNDOFF_64
        self._offsets = self._error_64 * (self._mean_norm + norms) ** 2 + (dim + 4) * TINY
        self._scores = np.empty((len(queries), 0), np.float32)

    def of(self, latents: np.ndarray, half_norms: np.ndarray) -> np.ndarray:
        """Scores, float32 (q, n), of latents (n, d) with these half norms (n,). The next call overwrites the result."""
        shape = len(self._shifted), len(latents)
        if self._scores.shape != shape:
            self._scores = np.empty(shape, np.float32)
        np.matmul(self._shifted, latents.T, out=self._scores)
        self._scores -= half_norms
        return self._scores

    def at(self, squared: np.ndarray) -> np.ndarray:
        """For each query, the exact score of a latent at this squared distance: (q,) -> float64 (q,)."""
        scores: np.ndarray = (self._constants - squared) / 2
        return scores

    def below(self, limits: np.ndarray, half_norm: float) -> np.ndarray:
        """Limits for computed scores, float32 (q,), that no latent misses whose exact score reaches `limits` (q,).

        half_norm: the largest half norm of the latents.
        """
        # An upper bound on the norms of the latents. The factor 1.01 covers the rounding errors of the bound itself.
        norm = 1.01 * (self._mean_norm + math.sqrt(2 * half_norm))
        errors = self._slopes * norm + self._offsets
        errors += 3.3 * ROUNDOFF * half_norm + self._error_64 * norm**2
        lowered: np.ndarray = np.nextafter((limits - errors).astype(np.float32), np.float32(-np.inf))
        return lowered


def mean_and_half_norms(latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of latents, float32 (n, d), and half the squared distance of each to it: float64 (d,), float32 (n,).

    Raises InputError for values that are not finite or above MAX_LATENT.
    """
    total = np.zeros(latents.shape[1])
    for rows in slices(len(latents), PART_ROWS):
        part = latents[rows].astype(np.float64)
        check_size(part, "latents")
        total += part.sum(0)
        forget(latents)
    mean = total / len(latents)
    half_norms = np.empty(len(latents), np.float32)
    for rows in slices(len(latents), PART_ROWS):
        half_norms[rows] = np.square(latents[rows] - mean).sum(1) / 2
        forget(latents)
    return mean, half_norms


def check_size(latents: np.ndarray, name: str) -> None:
    """Raise InputError about the argument `name` unless all values of latents (n, d) are at most MAX_LATENT in size."""
    largest = float(np.abs(latents).max(initial=0))
    if not largest <= MAX_LATENT:  # also true for NaN
        raise InputError(name, found=f"a value of size {largest:g}", expected="finite values below 10^15")

"""Collect candidates for the nearest latents of several queries, and keep the nearest by exact distance."""

import numpy as np

PART_VALUES = 2**20  # limit on the number of differences that are in memory at a time
MIN_PENDING = 64  # number of candidates to collect before they are merged; at least 2 k for each query


class Candidates:
    """The k nearest latents that were found so far for each query, by squared distance in float64.

    latents: float32 (n, d). queries: float32 (q, d). indices: int64 (q, k), squared: float64 (q, k), nearest first; of
    equally near latents the one with the lowest index is first. Until k candidates have been added, the rest of
    `squared` is infinite. New candidates are collected first, and merged into `indices` and `squared` when there are
    many, or by `merge`.
    """

    def __init__(self, latents: np.ndarray, queries: np.ndarray, k: int) -> None:
        self._latents, self._queries = latents, queries.astype(np.float64)
        self.indices = np.full((len(queries), k), len(latents), np.int64)
        self.squared = np.full((len(queries), k), np.inf)
        self._pending: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._pending_count, self._max_pending = 0, max(MIN_PENDING, 2 * self.squared.size)

    def add(self, query: np.ndarray, index: np.ndarray) -> bool:
        """Add candidates: pairs of a query and a latent. Returns whether they were merged into the results.

        query, index: the numbers of the queries and of the latents, int64 (m,). A pair must not be added twice.
        """
        size = max(1, PART_VALUES // self._queries.shape[1])
        merged = False
        for start in range(0, len(query), size):
            part = query[start : start + size], index[start : start + size]
            squared = np.square(self._latents[part[1]] - self._queries[part[0]]).sum(1)
            self._pending.append((*part, squared))
            self._pending_count += len(squared)
            if self._pending_count >= self._max_pending:
                self.merge()
                merged = True
        return merged

    def merge(self) -> None:
        """Merge the collected candidates into `indices` and `squared`."""
        queries, k = self.squared.shape
        known = np.repeat(np.arange(queries), k), self.indices.ravel(), self.squared.ravel()
        query, index, squared = (np.concatenate(values) for values in zip(known, *self._pending, strict=True))
        order = np.lexsort((index, squared, query))
        firsts = np.searchsorted(query[order], np.arange(queries))
        nearest = order[firsts[:, None] + np.arange(k)]
        self.indices, self.squared = index[nearest], squared[nearest]
        self._pending, self._pending_count = [], 0

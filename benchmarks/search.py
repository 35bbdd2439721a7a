"""Compare the exact search of nearest latents with numpy's product of a matrix and a vector, and with faiss-cpu.

Needs faiss-cpu and threadpoolctl (`pip install faiss-cpu threadpoolctl`). The latents are normal, float32,
memory-mapped and in the disk cache. In each round, every method runs once, in a changing order; the first round is not
counted. Prints JSON with the median milliseconds and their ratios:

* one query: the ratio to numpy's `latents @ query`, which computes one product for each latent without a search
* a batch of queries: the ratios to faiss's IndexFlatL2 as installed, and to IndexFlatL2 with faiss's threshold for BLAS
  set to 20, the value of older versions of faiss, with which large batches are faster

It also compares the results with those of faiss, whose distances are float32.

    python benchmarks/search.py
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from aegen.runtime.threads import allowed_threads
from aegen.search import Index
from threadpoolctl import threadpool_limits

BLAS_THRESHOLD = 20  # from this many queries on, older versions of faiss multiply matrices
GAP_ROUNDING = 1e-3  # distances by faiss may differ from exact ones by this much


def main() -> None:
    """Measure all methods in turns, and print the times and their ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latents", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--queries", type=int, default=100, help="in a batch")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=allowed_threads())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    faiss.omp_set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(options.threads):
        print(json.dumps(measured(options, Path(folder) / "latents.npy"), indent=1))


def measured(options: argparse.Namespace, file: Path) -> dict[str, Any]:
    """Measure all methods. file: where the latents are written."""
    generator = np.random.default_rng(0)
    np.save(file, generator.standard_normal((options.latents, options.dim), np.float32))
    queries = generator.standard_normal((options.queries, options.dim), np.float32)
    latents = np.load(file, mmap_mode="r")
    index, flat = Index(latents), faiss.IndexFlatL2(options.dim)
    flat.add(latents)
    default = faiss.cvar.distance_compute_blas_threshold

    def by_faiss(threshold: int) -> tuple[np.ndarray, np.ndarray]:
        faiss.cvar.distance_compute_blas_threshold = threshold
        return flat.search(queries, options.k)

    methods: dict[str, Callable[[], Any]] = {
        "one query: numpy product": lambda: latents @ queries[0],
        "one query: aegen": lambda: index.nearest(queries[0], options.k),
        "one query: faiss": lambda: flat.search(queries[:1], options.k),
        "batch: aegen": lambda: index.nearest(queries, options.k),
        "batch: faiss": lambda: by_faiss(default),
        "batch: faiss with BLAS": lambda: by_faiss(BLAS_THRESHOLD),
    }
    distances, squared = index.nearest(queries, options.k)[1], by_faiss(default)[0]
    times: dict[str, list[float]] = {name: [] for name in methods}
    order = random.Random(0)  # noqa: S311
    for _ in range(options.rounds + 1):
        for name in order.sample([*methods], len(methods)):
            start = time.perf_counter()
            methods[name]()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
    return {
        "latents": options.latents,
        "latent_dim": options.dim,
        "queries": options.queries,
        "threads": options.threads,
        "milliseconds": {name: round(1e3 * seconds, 2) for name, seconds in medians.items()},
        "ratios": {
            "one query, aegen to numpy product": ratio(medians, "one query: aegen", "one query: numpy product"),
            "one query, aegen to faiss": ratio(medians, "one query: aegen", "one query: faiss"),
            "batch, aegen to faiss": ratio(medians, "batch: aegen", "batch: faiss"),
            "batch, aegen to faiss with BLAS": ratio(medians, "batch: aegen", "batch: faiss with BLAS"),
        },
        "same_distances_as_faiss": bool(np.allclose(distances, np.sqrt(squared), atol=GAP_ROUNDING)),
        "versions": {name: version(name) for name in ("numpy", "faiss-cpu")},
    }


def ratio(medians: dict[str, float], first: str, second: str) -> float:
    """The median time of the method `first`, divided by that of the method `second`."""
    return round(medians[first] / medians[second], 3)


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# faiss's flat index takes several times as long for a batch of 100 queries with its default settings as with BLAS.
#
# Versions: faiss-cpu 1.15.1 and 1.13.2, numpy 2.4.6, Python 3.11, on a processor with AVX2.
# Seen: `faiss.cvar.distance_compute_blas_threshold` is 20 in 1.13.2 and 128,000 in 1.15.1. With the default of 1.15.1,
#   IndexFlatL2 compares 100 queries with 100,000 vectors of 32 dimensions in more than twice (here six times) the
#   processor time that it takes with the threshold set to 20. The results agree.
# Why it matters: benchmarks beside "faiss flat" depend on the version; set the threshold for batches.
# Fails when any of this changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1
for version in 1.13.2 1.15.1; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install --quiet "faiss-cpu==$version" numpy==2.4.6
    "$work/$version/bin/python" - <<'PYTHON'
import time

import faiss
import numpy as np

random = np.random.default_rng(0)
vectors, queries = (random.standard_normal((n, 32), dtype=np.float32) for n in (100_000, 100))
index = faiss.IndexFlatL2(32)
index.add(vectors)
default = faiss.cvar.distance_compute_blas_threshold


def search(threshold):
    faiss.cvar.distance_compute_blas_threshold = threshold
    start = time.process_time()
    distances, _ = index.search(queries, 10)
    return time.process_time() - start, distances


search(default), search(20)
by_default, by_blas = (min(search(threshold)[0] for _ in range(5)) for threshold in (default, 20))
print(f"faiss {faiss.__version__}: threshold {default:,}; default {by_default * 1e3:.0f} ms, 20 {by_blas * 1e3:.0f} ms")
assert np.allclose(search(default)[1], search(20)[1], rtol=1e-4)
assert default == {"1.13.2": 20, "1.15.1": 128_000}[faiss.__version__]
assert faiss.__version__ == "1.13.2" or by_default > 2 * by_blas
PYTHON
done
echo "as described"

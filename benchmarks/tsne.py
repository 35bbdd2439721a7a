"""Measure libraries for t-SNE on the latents of a model: how long they take, and how well neighbours are kept.

Every library runs at its defaults with two threads. Prints JSON: for each library that is installed its version, the
seconds by the clock ("wall") and of the processor ("cpu"), and the trustworthiness for 5 neighbours; and the number of
running processes (the load) before each run, because other programs slow the libraries down.

    python benchmarks/tsne.py --data mnist
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib import metadata

THREADS = 2
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(THREADS)  # the libraries read these variables when they are imported

import aegen  # noqa: E402  imports numpy
import numpy as np  # noqa: E402
from aegen.data.datasets import load  # noqa: E402


def main() -> None:
    """Reduce the same latents to two dimensions with every library, and print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="name or path of the images; their test images are encoded")
    parser.add_argument("--model", help="the model that encodes them")
    parser.add_argument("--images", type=int, default=10_000, help="how many images")
    parser.add_argument("--only", nargs="+", choices=[*LIBRARIES], default=[*LIBRARIES], help="libraries to measure")
    options = parser.parse_args()
    latents = aegen.load(options.model).encode(load(options.data).test.images[: options.images])
    warm_up = latents[:500]
    results = []
    for name in options.only:
        package, embed = LIBRARIES[name]
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        embed(warm_up)  # imports the library and starts its threads
        load_before = os.getloadavg()[0]
        wall, cpu = time.perf_counter(), time.process_time()
        points = embed(latents)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        results.append({
            "library": name, "version": version, "wall": round(wall, 1), "cpu": round(cpu, 1),
            "trustworthiness": round(trust(latents, points), 4), "load": load_before,
        })  # fmt: skip
    facts = {"images": len(latents), "latent_dim": latents.shape[1], "threads": THREADS, "cores": os.cpu_count()}
    print(json.dumps({**facts, "libraries": results}, indent=1))


def trust(latents: np.ndarray, points: np.ndarray) -> float:
    """Trustworthiness of points (n, 2) that show latents (n, d): 1 if near points (5 neighbours) are near latents."""
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(latents, points, n_neighbors=5))


def scikit_learn(latents: np.ndarray) -> np.ndarray:
    """Latents (n, d) -> (n, 2) by scikit-learn."""
    from sklearn.manifold import TSNE

    points: np.ndarray = TSNE(random_state=0, n_jobs=THREADS).fit_transform(latents)
    return points


def open_tsne(gradient: str) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function latents (n, d) -> (n, 2) that uses openTSNE. gradient: "bh" or "fft"."""

    def embed(latents: np.ndarray) -> np.ndarray:
        from openTSNE import TSNE

        tsne = TSNE(random_state=0, n_jobs=THREADS, negative_gradient_method=gradient)
        return np.asarray(tsne.fit(latents))

    return embed


def tapkee(latents: np.ndarray) -> np.ndarray:
    """Latents (n, d) -> (n, 2) by Tapkee."""
    import tapkee

    points = tapkee.embed(np.asfortranarray(latents.T, np.float64), method="t-sne", target_dimension=2)
    points = np.asarray(points)
    return points if len(points) == len(latents) else points.T


def manifolds_rs(approximation: str) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function latents (n, d) -> (n, 2) that uses manifolds-rs. approximation: "barnes_hut", "qd" or "fft"."""

    def embed(latents: np.ndarray) -> np.ndarray:
        from manifolds_rs.embeddings import TSNE

        return np.asarray(TSNE(approx=approximation, seed=0).fit_transform(latents))

    return embed


LIBRARIES = {
    "scikit-learn": ("scikit-learn", scikit_learn),
    "openTSNE, Barnes-Hut": ("openTSNE", open_tsne("bh")),
    "openTSNE, FFT": ("openTSNE", open_tsne("fft")),
    "Tapkee": ("tapkee", tapkee),
    "manifolds-rs, Barnes-Hut": ("manifolds-rs", manifolds_rs("barnes_hut")),
    "manifolds-rs, qd": ("manifolds-rs", manifolds_rs("qd")),
    "manifolds-rs, FFT": ("manifolds-rs", manifolds_rs("fft")),
}

if __name__ == "__main__":
    main()

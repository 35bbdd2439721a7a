"""A process that imports one build of aegen. It runs functions for against_build.py, and times them.

It reads requests from standard input, one JSON object in each line: the name of a function of FUNCTIONS under
"function", and its arguments. It answers each with one line of JSON on standard output. The functions from
`reference_set` on need this build of aegen. The functions before it work with every build.
"""

import functools
import hashlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import aegen
import numpy as np
import onnxruntime
from PIL import Image

if TYPE_CHECKING:
    from aegen.evaluation.reference import ReferenceSet

WARM_UP_IMAGES = 1024  # at most this many images are sampled before a call is timed
SAMPLE_METRICS = ("frechet_distance", "recall", "coverage")


@functools.cache
def loaded(model: str, threads: int | None) -> aegen.Autoencoder:
    """Load a model; further calls return the same object. threads: None for the default."""
    return aegen.load(model, threads=threads)


def versions() -> dict[str, str]:
    """The versions of the libraries that this process runs, and the folder of aegen."""
    return {"aegen": aegen.__path__[0], "numpy": np.__version__, "onnxruntime": onnxruntime.__version__}


def sampling_time(model: str, n: int, threads: int, seconds: float) -> dict[str, Any]:
    """Time calls of `sample` for n images, after an untimed call. Returns seconds per call and a hash of the pixels.

    seconds: the call is repeated for about this long. In the result, "cpu" is the processor time of all threads.
    """
    sample = functools.partial(loaded(model, threads).sample, seed=0, dtype="uint8")
    sample(min(n, WARM_UP_IMAGES))
    wall, cpu, calls = time.perf_counter(), time.process_time(), 0
    while calls == 0 or time.perf_counter() - wall < seconds:
        images = sample(n)  # images, uint8 (n, H, W[, 3])
        calls += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall / calls, "cpu": cpu / calls, "sha256": sha256(images)}


def image_hash(file: str) -> str:
    """SHA-256 of the pixels of an image file."""
    with Image.open(file) as image:
        return sha256(np.asarray(image))


def sha256(pixels: np.ndarray) -> str:
    """SHA-256 of the bytes of an array."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def write_samples(model: str, n: int, seed: int, file: str) -> None:
    """Write n samples, uint8 (n, H, W[, 3]), to an npz file, and about n with labels, equally many of each label."""
    artifact = loaded(model, None)
    classes = artifact.manifest.labels
    labelled = [artifact.sample(n // len(classes), seed=seed, label=label, dtype="uint8") for label in classes]
    np.savez(
        file,
        samples=artifact.sample(n, seed=seed, dtype="uint8"),
        labelled_samples=np.concatenate(labelled),
        labels=np.repeat(np.array(classes), n // len(classes)),
    )


def write_reconstructions(model: str, images: str, file: str) -> None:
    """Reconstruct the images of an npz file, uint8 (n, H, W[, 3]), and write the results to another npz file."""
    originals = np.load(images)["images"]
    np.savez(file, images=loaded(model, None).reconstruct(originals, dtype="uint8"))


@functools.cache
def reference_set(data: str, n: int) -> "ReferenceSet":
    """The real images of a data set with which n samples are compared."""
    from aegen.cli.evaluate import load_reference
    from aegen.data.datasets import load

    return load_reference(load(data), "test", None, n, None)


def reference_scores(data: str, n: int, file: str) -> dict[str, float]:
    """Write the n test images to an npz file. Returns the scores that real training images get in place of samples."""
    real = reference_set(data, n)
    np.savez(file, images=real.test_images)
    return score(real.real_images, real.real_labels, real, (*SAMPLE_METRICS, "class_accuracy"))


def sample_scores(data: str, n: int, file: str) -> dict[str, float]:
    """Score the samples in a file that `write_samples` wrote. Returns the scores by name of the metric."""
    real, arrays = reference_set(data, n), np.load(file)
    by_class = score(arrays["labelled_samples"], arrays["labels"], real, ("class_accuracy",))
    return {**score(arrays["samples"], None, real, SAMPLE_METRICS), **by_class}


def reconstruction_error(data: str, n: int, file: str) -> float:
    """Mean squared error of reconstructions that `write_reconstructions` wrote."""
    images = np.load(file)["images"]
    return score(images, None, reference_set(data, n), ("reconstruction_mse",))["reconstruction_mse"]


def score(
    images: np.ndarray, labels: np.ndarray | None, real: "ReferenceSet", metrics: tuple[str, ...]
) -> dict[str, float]:
    """Score images uint8 (n, H, W[, 3]), with labels int64 (n,) or None, by some of aegen's metrics."""
    from aegen.evaluation.metric_inputs import ScoredImages
    from aegen.evaluation.metrics import METRICS

    scored = ScoredImages(real, images, labels)
    return {metric.name: metric.compute(scored) for metric in METRICS if metric.name in metrics}


FUNCTIONS = {
    "versions": versions,
    "sampling_time": sampling_time,
    "image_hash": image_hash,
    "write_samples": write_samples,
    "write_reconstructions": write_reconstructions,
    "reference_scores": reference_scores,
    "sample_scores": sample_scores,
    "reconstruction_error": reconstruction_error,
}

if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(FUNCTIONS[request.pop("function")](**request)), flush=True)

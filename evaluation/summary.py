"""The numbers that `aegen create` prints at the end: quality, memorisation, size and speed of the model."""

import dataclasses
import time
from dataclasses import dataclass

import numpy as np

from ..runtime.autoencoder import Autoencoder
from ..runtime.pixels import unit_pixels
from .distances import frechet_distance
from .feature_extractor import FeatureExtractor
from .neighbours import nearest
from .reference import random_rows

SAMPLES_SEED = 0
TEST_ROWS_SEED, REFERENCE_ROWS_SEED, TRAINING_ROWS_SEED = 1, 2, 3
SPEED_BATCH, SPEED_SECONDS = 256, 1.0  # samples in a call; seconds for which calls are timed


@dataclass(frozen=True)
class Summary:
    """Measurements of a model.

    images: number n of samples, and of the real images that they are compared with. distance: Frechet distance between
    n samples and n test images, by features of `extractor`. reference_distance: the same with n training images in
    place of the samples. nearest: median distance of a sample to its nearest training image, among `training_images` of
    these, by features. reference_nearest: the same for test images in place of samples. near_copies: fraction of
    samples that are nearer to a training image than 99 % of the test images are. reconstruction_mse: mean squared error
    of a pixel in [0, 1], on test images. samples_per_second: speed with the default number of threads. megabytes: size
    of all files, in units of 10^6 bytes.
    """

    extractor: str
    images: int
    distance: float
    reference_distance: float
    training_images: int
    nearest: float
    reference_nearest: float
    near_copies: float
    reconstruction_mse: float
    samples_per_second: float
    megabytes: float

    def json_object(self) -> dict[str, object]:
        """The values by name, for JSON."""
        return dataclasses.asdict(self)


def summary(
    model: Autoencoder, extractor: FeatureExtractor, training: np.ndarray, test: np.ndarray, n: int, searched: int
) -> Summary:
    """Measure a model.

    training, test: real images, uint8 (t, H, W[, 3]) and (m, H, W[, 3]). n: number of samples to measure; at most the
    number of test images, and at most half the number of training images. searched: maximum number of training images
    that samples are compared with.
    """
    samples = model.sample(n, seed=SAMPLES_SEED, dtype="uint8")
    test = test[random_rows(len(test), n, TEST_ROWS_SEED)]
    in_place = training[random_rows(len(training), n, REFERENCE_ROWS_SEED)]
    training = training[random_rows(len(training), searched, TRAINING_ROWS_SEED)]
    of_samples, of_test, of_real, of_training = (
        extractor.extract(images).features for images in (samples, test, in_place, training)
    )
    distances, reference = nearest(of_samples, of_training)[1], nearest(of_test, of_training)[1]
    errors = (model.reconstruct(test) - unit_pixels(test)).astype(np.float64)
    return Summary(
        extractor=extractor.record.name,
        images=n,
        distance=frechet_distance(of_samples, of_test),
        reference_distance=frechet_distance(of_real, of_test),
        training_images=len(training),
        nearest=float(np.median(distances)),
        reference_nearest=float(np.median(reference)),
        near_copies=float(np.mean(distances < np.quantile(reference, 0.01))),
        reconstruction_mse=float(np.mean(errors**2)),
        samples_per_second=_samples_per_second(model),
        megabytes=model.manifest.total_bytes / 1e6,
    )


def _samples_per_second(model: Autoencoder) -> float:
    """Samples per second in the fastest of several calls."""
    best, end = 0.0, time.perf_counter() + SPEED_SECONDS
    while not best or time.perf_counter() < end:
        began = time.perf_counter()
        model.sample(SPEED_BATCH, seed=SAMPLES_SEED, dtype="uint8")
        best = max(best, SPEED_BATCH / (time.perf_counter() - began))
    return best

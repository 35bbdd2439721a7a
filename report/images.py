"""Sections that show images: samples of each prior, reconstructions, interpolation, nearest training images."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..evaluation.neighbours import nearest_in_parts
from ..evaluation.similarity import similarity, squared_errors
from ..evaluation.tables import number
from ..images.grid import stacked
from ..plots.priors import (
    REAL,
    PriorDistances,
    PriorRow,
    PriorSamples,
    prior_samples,
    reference_distance,
    sample_distance,
)
from ..runtime.pixels import unit_pixels
from .blocks import Absent, Block, Row, Rows, Section, Table, Text, Tile, Tiles, embedded
from .subject import Subject
from .wording import PRIOR_MEANINGS, image_subjects, object_name, plural

COLUMNS = 10  # number of images in a row
RECONSTRUCTIONS, NEAREST = 12, 12  # number of images in these two sections
TILE_WIDTH = 112  # maximum width of a small image in CSS pixels
PATHS = 4
COMPARED = 200  # number of samples, and of test images, that are compared with training images
PART_VALUES = 2**24  # training images are compared in parts of about this many pixel values


def samples_section(subject: Subject) -> Section:
    """The section with a row of samples of each prior, and their distance to real images if that can be measured."""
    intro = (
        "A decoder makes an image of any latent, but only latents like those of real images give good ones. A prior is "
        "a distribution that latents are sampled from. The same decoder made all rows; only the prior differs."
    )
    distances = _distances(subject)
    samples = prior_samples(subject.model, columns=COLUMNS, seed=subject.seed, distances=distances)
    blocks: list[Block] = [Rows([_prior_row(subject, row, samples) for row in samples.rows]), _priors(subject, samples)]
    if distances is None:
        blocks.append(Absent("Frechet distances: " + _lowered(subject.unmeasured)))
    if not subject.manifest.learned_priors:
        blocks.append(Absent("This model has no learned prior. `aegen train-prior` trains one."))
    return Section("samples", "Samples of each prior", intro, blocks)


def _distances(subject: Subject) -> PriorDistances | None:
    """The Frechet distance of every prior to real images; None if it cannot be measured.

    The distances of the default prior and of real training images are copied from the metrics, so that the page does
    not show two values for each.
    """
    report, reference, default = subject.scores, subject.reference, subject.manifest.default_prior
    if report is None or reference is None:
        return None
    score = report.metrics["frechet_distance"]
    of_real_images = reference_distance(reference) if score.reference is None else score.reference
    by_prior = {
        prior: sample_distance(subject.model, prior, reference, seed=subject.seed, report=lambda done, total: None)
        for prior in subject.model.priors
        if prior != default
    }
    real_images = reference.real_images[:COLUMNS]
    return PriorDistances(
        {**by_prior, default: score.value}, of_real_images, len(reference), report.data, report.split, real_images
    )


def _prior_row(subject: Subject, row: PriorRow, samples: PriorSamples) -> Row:
    distance = "" if row.distance is None else f"Frechet distance {number(row.distance)}"
    default = "the default prior" if row.title == samples.default else ""
    shows = (
        f"{len(row.images)} real training images"
        if row.title == REAL
        else f"{len(row.images)} samples of the prior {row.title}: {image_subjects(subject.manifest)}"
    )
    note = "; ".join(text for text in (distance, default) if text)
    return Row(row.title, note, embedded(row.images, shows, columns=COLUMNS))


def _priors(subject: Subject, samples: PriorSamples) -> Table:
    """The table of all priors: a description, the log-likelihood and the distance to real images of each."""
    manifest, measured = subject.manifest, samples.distances
    rows = []
    for row in samples.rows:
        likelihood = manifest.log_likelihood.get(row.title)
        cells = [row.title, PRIOR_MEANINGS.get(row.title, "") if row.title != REAL else "the reference"]
        cells.append("-" if likelihood is None else f"{likelihood:.2f}")
        rows.append(cells + ([] if row.distance is None else [number(row.distance)]))
    caption = "Log-likelihood: the mean log density of the latents of held-out images, in nats; higher is better."
    head = ["prior", "what it is", "log-likelihood"]
    if measured is not None:
        caption += (
            f" Frechet distance: of {measured.count:,} samples to as many {subject.split}; lower is better. The "
            "reference is what real training images score."
        )
        head.append("Frechet distance")
    return Table(caption, head, rows, text_columns=(1,))


def reconstructions_section(subject: Subject) -> Section:
    """The section with images above their reconstructions, from the best to the worst, with the error of each."""
    title = "Reconstructions"
    intro = "An image is encoded to its latent and decoded again. What the latent does not hold is lost."
    if subject.dataset is None:
        return Section("reconstructions", title, intro, [Absent(subject.no_data)])
    originals, class_names = subject.images, subject.dataset.class_names
    copies = subject.model.decode(subject.latents, dtype="uint8")
    errors, all_errors = squared_errors(originals, copies), similarity(originals, copies)
    order = np.argsort(errors, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(RECONSTRUCTIONS, len(order))).round().astype(int)]
    tiles = []
    for i in chosen:
        shown = "An image" if subject.labels is None else f"An image of {object_name(subject.labels[i], class_names)}"
        alt = f"{shown} above its reconstruction, mean squared error {number(errors[i])}"
        pair = np.stack([originals[i], copies[i]])
        tiles.append(Tile(embedded(pair, alt, columns=1, width=TILE_WIDTH), f"error {number(errors[i])}"))
    what = (
        f"{len(chosen)} of {len(originals):,} {subject.split}, from the smallest error to the largest: above the "
        "image, below its reconstruction, and the mean squared error of a pixel, black being 0 and white 1."
    )
    rows = [
        ["mean squared error", number(all_errors.mse), "The squared difference of a pixel, on average; 0 is perfect."],
        ["PSNR, dB", number(all_errors.psnr), "The same error in decibels; half the error is 3 more."],
        ["SSIM", number(all_errors.ssim), "Similarity of small patches; 1 is perfect."],
    ]
    table = Table(
        f"All {len(originals):,} {subject.split}.", ["measure", "value", "what it says"], rows, text_columns=(2,)
    )
    return Section("reconstructions", title, intro, [Text(what), Tiles(tiles), table])


def interpolation_section(subject: Subject) -> Section:
    """The section with paths between images and, if there is a learned prior, walks between samples."""
    model = subject.model
    intro = (
        "The latents on the way from one image to another are decoded. If the latent space is smooth, one image turns "
        "into the other through images that look real."
    )
    if subject.dataset is None:
        ends, between = model.sample(2 * PATHS, seed=subject.seed, dtype="uint8"), "samples, since no images were given"
    else:
        ends, between = _different(subject, 2 * PATHS), subject.split
    count = len(ends) // 2
    paths = model.interpolate(ends[:count], ends[count : 2 * count], steps=COLUMNS, dtype="uint8")
    what = f"Paths between {between}. The first and the last image of a row are reconstructions."
    blocks: list[Block] = [Text(what), Rows(_path_rows("path", paths, "one image turns into another"))]
    if model.manifest.learned_priors:
        walks = model.latent_walk(2, steps=COLUMNS, seed=subject.seed, dtype="uint8")
        blocks.append(
            Text("Walks between samples of the learned prior: every image on the way could have been sampled.")
        )
        blocks.append(Rows(_path_rows("walk", walks, "one sample turns into another")))
    else:
        blocks.append(Absent("No walks between samples, because they need a learned prior."))
    return Section("interpolation", "Interpolation", intro, blocks)


def _path_rows(name: str, paths: np.ndarray, shows: str) -> list[Row]:
    """One row of the page for each path of images (steps, H, W[, 3])."""
    return [
        Row(f"{name} {i}", "", embedded(path, f"{name} {i}: {len(path)} images, in which {shows}", columns=COLUMNS))
        for i, path in enumerate(paths, start=1)
    ]


def _different(subject: Subject, count: int) -> np.ndarray:
    """Choose up to `count` images, uint8 (m, H, W[, 3]), from as many classes as possible if there are labels."""
    if subject.labels is None:
        return subject.images[:count]
    ranks = np.zeros(len(subject.labels), np.int64)  # for each image, the number of earlier images of its class
    for label in np.unique(subject.labels):
        rows = subject.labels == label
        ranks[rows] = np.arange(rows.sum())
    images: np.ndarray = subject.images[np.lexsort((subject.labels, ranks))[:count]]
    return images


def nearest_section(subject: Subject) -> Section:
    """The section with samples beside the most similar training images. Test images are compared with them too."""
    title = "Nearest training images"
    intro = (
        "A model could sample well because it remembers its training images. Below each sample is the training image "
        "nearest to it; the distance is the root mean square of pixel differences."
    )
    if subject.dataset is None:
        return Section("nearest", title, intro, [Absent(subject.no_data)])
    samples = subject.model.sample(COMPARED, seed=subject.seed, dtype="uint8")
    tests, training = subject.images[:COMPARED], subject.training_images
    indices, distances = _nearest([samples, tests], training)
    tiles = []
    for i in range(NEAREST):
        alt = f"A sample above the training image nearest to it, at distance {number(distances[i])}"
        pair = stacked(1, samples[i : i + 1], training[indices[i : i + 1]])
        tiles.append(Tile(embedded(pair, alt, columns=1, width=TILE_WIDTH), f"distance {number(distances[i])}"))
    of_samples, of_tests = np.median(distances[: len(samples)]), np.median(distances[len(samples) :])
    comparison = (
        f"The median distance from the nearest of {len(training):,} training images is {number(of_samples)} for "
        f"{len(samples):,} samples, and {number(of_tests)} for {plural(len(tests), subject.split[:-1])}, which are new "
        "to the model. A model that copies its training images has a far smaller number than they have."
    )
    blocks: list[Block] = [Tiles(tiles), Text(comparison)]
    if not subject.is_training_data:
        name = subject.dataset.facts.name
        blocks.append(Text(f"The images of {name} are not the data set that the model was trained on.", warning=True))
    return Section("nearest", title, intro, blocks)


def _nearest(queries: Sequence[np.ndarray], training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each query image, the index of the nearest training image, and the root mean square difference to it.

    queries: arrays (n_i, H, W[, 3]), uint8. training: uint8 (t, H, W[, 3]). Returns int64 (n,) and float64 (n,).
    """
    values = int(np.prod(training.shape[1:]))
    size = max(1, PART_VALUES // values)

    def parts() -> Iterator[np.ndarray]:
        for start in range(0, len(training), size):
            part = training[start : start + size]
            yield unit_pixels(part.reshape(len(part), values))

    flat = unit_pixels(np.concatenate(queries).reshape(-1, values))
    indices, distances = nearest_in_parts(flat, parts())
    return indices, distances / np.sqrt(values)


def _lowered(sentence: str) -> str:
    """A sentence with its first letter in lower case, so that it can be the end of another sentence."""
    return sentence[:1].lower() + sentence[1:]

"""What `aegen create` shows at the end: measurements, a grid of samples beside real images, and the next commands."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .facts import print_facts
from .grid_texts import sampling_facts
from .messages import note, plural
from .next_steps import say_next

if TYPE_CHECKING:
    import numpy as np

    from ..evaluation.summary import Summary
    from ..recipes.plan import Plan
    from ..runtime.autoencoder import Autoencoder
    from ..runtime.manifest import Manifest
    from .create_run import Request

GRID, SUMMARY = "samples.png", "summary.json"
GRID_COLUMNS, GRID_IMAGES = 12, 48
MIN_TRUSTED_IMAGES = 500  # with fewer images, a note says that distances are uncertain


def measured(request: "Request", plan: "Plan", folder: Path, artifact: Path) -> "Summary":
    """Measure the model, and write the grid and the summary to the run's folder."""
    from ..data.datasets import load
    from ..evaluation.feature_extractor import FeatureExtractor, find_feature_extractor
    from ..evaluation.summary import summary
    from ..files.atomic import write_bytes
    from ..recipes.stage_seconds import MAX_NEAREST_IMAGES
    from ..runtime.autoencoder import load as load_model

    dataset, model = load(request.data, request.reading), load_model(artifact, threads=plan.threads)
    path = find_feature_extractor(None, dataset.facts.name) if plan.features is None else folder / "features"
    extractor = FeatureExtractor(path, threads=plan.threads)
    images = dataset.train.images, dataset.test.images
    result = summary(model, extractor, *images, plan.evaluated_images, MAX_NEAREST_IMAGES)
    _write_grid(folder / GRID, model, dataset.test.images)
    write_bytes(folder / SUMMARY, (json.dumps(result.json_object(), indent=2) + "\n").encode())
    return result


def _write_grid(path: Path, model: "Autoencoder", real: "np.ndarray") -> None:
    """Write rows of samples, each above a row of real images."""
    from ..evaluation.reference import random_rows
    from ..images.grid import stacked
    from ..images.writing import write_images

    real = real[random_rows(len(real), GRID_IMAGES, 0)]
    samples = model.sample(len(real), seed=0, dtype="uint8")
    columns = min(GRID_COLUMNS, len(real))
    rows = stacked(columns, samples, real)
    facts = sampling_facts(model, seed=0)
    write_images(str(path), [rows], len(rows), columns=columns, row_titles=("samples", "real images"), facts=facts)


def print_result(plan: "Plan", result: "Summary", folder: Path, artifact: Path) -> None:
    """Print the measurements, notes on what they mean, and the next commands."""
    from ..runtime.artifact import read_manifest

    manifest = read_manifest(artifact)
    real = f"real images in the samples' place: {result.reference_distance:.4g}"
    print_facts(
        {
            "model": f"{artifact}, {result.megabytes:.1f} MB",
            "samples": f"{folder / GRID}: samples above real images",
            "distance": f"{result.distance:.4g} to held-out images; {real}",
            "ratio": f"{result.distance / max(result.reference_distance, 1e-9):.2f}, with {result.images:,} images on "
            f"each side, by {_extractor(plan, result)}",
            "nearest": f"{result.nearest:.3g} from a sample to the nearest of {result.training_images:,} training "
            f"images; from a new real image {result.reference_nearest:.3g}",
            "copies": f"{100 * result.near_copies:.1f} % of samples are nearer than 99 % of new real images",
            "reconstruction": f"{result.reconstruction_mse:.5f} mean squared error of a pixel in [0, 1]",
            "speed": f"{result.samples_per_second:,.0f} samples a second with {plural(plan.threads, 'thread')}",
        }.items()
    )
    _print_notes(manifest, result)
    label = ["--label", manifest.class_names[0]] if manifest.class_names else []
    model = str(artifact) if artifact.is_absolute() else f"./{artifact}"
    say_next(["sample", "--model", model, *label, "-n", "64", "-o", "grid.png"], ["info", model])


def _extractor(plan: "Plan", result: "Summary") -> str:
    """A text that says which classifier computed the features by which images are compared."""
    if plan.features is None:
        return result.extractor
    trained = "to tell how images are turned" if plan.features.orientations else "on the training labels"
    return f"a classifier trained {trained}, apart from the model"


def _print_notes(manifest: "Manifest", result: "Summary") -> None:
    """Print notes: whether the images are too few for the distances, and on the licence and on copies of images."""
    from ..data.datasets import UNKNOWN_LICENCE
    from ..export.memorisation import FEW_IMAGES

    if result.images < MIN_TRUSTED_IMAGES:
        note(f"{result.images} images are few: distances are uncertain. Look at the grid.")
    if manifest.data.licence == UNKNOWN_LICENCE:
        note("the licence of the images is not known. Before you share the model, export it with --licence.")
        if manifest.data.training_images < FEW_IMAGES:
            note("a model of few images may show some of them again. Share it only if you may share the images.")

"""Write an index to a folder, one part of its arrays at a time."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files.atomic import new_folder, require_space
from ..files.output_errors import output_errors
from ..runtime.arrays import forget, map_npy, npy_header
from ..runtime.errors import InputError
from ..runtime.manifest import Tensor
from ..runtime.pixels import grey_levels, unit_pixels
from ..runtime.records import to_plain
from ..runtime.workers import slices
from .exact import mean_and_half_norms
from .index import FACTS, FORMAT, HALF_NORMS, IMAGES, LATENTS, MEAN, NAMES, IndexFacts, model_identity

if TYPE_CHECKING:
    from ..runtime.autoencoder import Autoencoder

PART_ROWS = 4096  # number of images converted at a time


def write_index(
    path: str | Path,
    model: "Autoencoder",
    latents: Iterable[np.ndarray],
    count: int,
    *,
    images: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> int:
    """Write an index to a new folder, which appears only when it is complete.

    model: the model that encoded the images. latents: chunks, float32 (m, d), with `count` latents in total. images:
    the images to store, uint8 or float in [0, 1], (count, H, W) or (count, H, W, 3); None stores no images. names: the
    file name of each image. Latents and images are written chunk by chunk, so memory does not grow with `count`.
    Returns the number of bytes written. Raises OutputError if the folder exists and is not empty, or has too little
    space, InputError for latents that are not finite.
    """
    image_bytes = 0 if images is None else images.size
    require_space(path, image_bytes + 4 * count * model.latent_dim)
    with new_folder(path) as folder:
        arrays = [_write(path, folder, LATENTS, np.float32, (count, model.latent_dim), latents)]
        mapped = map_npy(folder / LATENTS)
        mean, half_norms = mean_and_half_norms(mapped)
        arrays.append(_write(path, folder, MEAN, mean.dtype, mean.shape, [mean]))
        arrays.append(_write(path, folder, HALF_NORMS, half_norms.dtype, half_norms.shape, [half_norms]))
        if images is not None:
            arrays.append(_write(path, folder, IMAGES, np.uint8, images.shape, _levels(images)))
        if names:
            encoded = np.array([name.encode("utf-8", "replace") for name in names])
            arrays.append(_write(path, folder, NAMES, encoded.dtype, encoded.shape, [encoded]))
        facts = IndexFacts(FORMAT, *model_identity(model), tuple(arrays))
        with output_errors(path):
            (folder / FACTS).write_text(json.dumps(to_plain(facts), indent=2) + "\n", encoding="utf-8")
        return sum(file.stat().st_size for file in folder.iterdir())


def _write(
    path: str | Path,
    folder: Path,
    name: str,
    dtype: np.dtype | type,
    shape: tuple[int, ...],
    chunks: Iterable[np.ndarray],
) -> Tensor:
    """Write an array of `shape`, which comes in chunks along axis 0, as `.npy`. path: the index, for error messages.

    Raises InputError if the chunks together have another number of rows.
    """
    rows = 0
    with output_errors(path), (folder / name).open("xb") as stream:
        stream.write(npy_header(np.dtype(dtype), shape))
        for chunk in chunks:
            stream.write(np.ascontiguousarray(chunk, dtype).data)
            rows += len(chunk)
    if rows != shape[0]:
        raise InputError(name, found=f"{rows} rows", expected=shape[0])
    return Tensor(name, str(np.dtype(dtype)), shape)


def _levels(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield images (n, H, W) or (n, H, W, 3), in parts of PART_ROWS, as uint8."""
    for rows in slices(len(images), PART_ROWS):
        yield grey_levels(unit_pixels(images[rows]))
        forget(images)

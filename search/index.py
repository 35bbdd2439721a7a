"""An index: a folder with the latents of many images, in which the nearest latents of a query are found.

The folder holds `index.json` and plain arrays, which are memory-mapped and never unpickled:

    latents.npy     float32 (n, d)
    mean.npy        float64 (d,), the mean of all latents
    half_norms.npy  float32 (n,), half the squared distance of each latent to the mean
    images.npy      uint8 (n, H, W) or (n, H, W, 3), if the images are stored
    names.npy       the names of the image files as UTF-8 of a fixed length (n,), if the images have names
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..runtime.arguments import as_latents
from ..runtime.arrays import map_npy
from ..runtime.artifact import ENCODER
from ..runtime.errors import InputError, NotFoundError, ShapeError
from ..runtime.manifest import Tensor
from ..runtime.pixels import as_batch, grey_levels, unit_pixels
from ..runtime.records import from_json, read_json
from .exact import ExactSearch, mean_and_half_norms

if TYPE_CHECKING:
    from ..runtime.autoencoder import Autoencoder

FORMAT = 1
FACTS = "index.json"
LATENTS, MEAN, HALF_NORMS, IMAGES, NAMES = "latents.npy", "mean.npy", "half_norms.npy", "images.npy", "names.npy"
MAX_FACTS_BYTES = 100_000
REMEDY = "Index the images again."


@dataclass(frozen=True)
class IndexFacts:
    """The content of `index.json`.

    format: version of the folder's format. model: the name of the model that encoded the images. encoder_sha256: the
    SHA-256 of its encoder. arrays: file name, dtype and shape of each array in the folder.
    """

    format: int
    model: str
    encoder_sha256: str
    arrays: tuple[Tensor, ...]


class Index:
    """The latents of n images, in which the nearest latents are found exactly.

    latents: float32 (n, d). images: the images, uint8 (n, H, W) or (n, H, W, 3), or None. model_name, encoder_sha256:
    the name of the model that encoded the images, and the SHA-256 of its encoder; empty if they are unknown.
    """

    def __init__(
        self,
        latents: ArrayLike,
        *,
        images: np.ndarray | None = None,
        names: Sequence[str] = (),
        model: "Autoencoder | None" = None,
    ) -> None:
        """Make an index in memory.

        latents: numbers (n, d). images: uint8 or float in [0, 1], (n, H, W) or (n, H, W, 3). names: the file name of
        each image. model: the model that encoded the images. Raises ShapeError if the numbers of latents, images and
        names differ, InputError for latents that are not finite.
        """
        array = np.asarray(latents)
        self.latents, _ = as_latents(array, array.shape[-1] if array.ndim else 1)
        if not len(self.latents):
            raise InputError("latents", found="none", expected="at least one")
        for name, values in (("images", images), ("names", names)):
            if values is not None and len(values) not in (0, len(self.latents)):
                raise ShapeError(name, found=len(values), expected=f"{len(self.latents)}, one for each latent")
        self.images = None if images is None else grey_levels(unit_pixels(images))
        self._names: Sequence[str] | np.ndarray = tuple(names)
        self.model_name, self.encoder_sha256 = model_identity(model) if model else ("", "")
        self._search = ExactSearch(self.latents, *mean_and_half_norms(self.latents))

    @classmethod
    def build(cls, model: "Autoencoder", images: ArrayLike, *, names: Sequence[str] = ()) -> "Index":
        """Encode images, and make an index of them in memory. To make an index on a disk, use `write_index`.

        images: (n, H, W) or (n, H, W, 3), uint8 or float in [0, 1]. names: the file name of each image. Raises
        ShapeError for images of another shape than the model's.
        """
        batch, _ = as_batch(images, model.manifest.image.shape)
        return cls(model.encode(batch), images=batch, names=names, model=model)

    @classmethod
    def open(cls, path: str | Path, model: "Autoencoder | None" = None) -> "Index":
        """Open the index in a folder. Its arrays are memory-mapped.

        model: the model that will encode the queries. Raises NotFoundError if there is no index, InputError if it is
        damaged, is of another format, or was made with another encoder than that of `model`.
        """
        folder = Path(path)
        facts = read_index_facts(folder)
        if model is not None and (wanted := model_identity(model))[1] != facts.encoder_sha256:
            found = f"latents of model {facts.model}, encoder {facts.encoder_sha256[:12]}"
            remedy = "Load the model of the index, or index the images again."
            expected = f"latents of {wanted[0]}, encoder {wanted[1][:12]}"
            raise InputError(str(folder), found=found, expected=expected, remedy=remedy)
        arrays = {tensor.name: _mapped(folder, tensor) for tensor in facts.arrays}
        _check_arrays(arrays, folder)
        index = cls.__new__(cls)
        index.latents, index.images = arrays[LATENTS], arrays.get(IMAGES)
        index._names = arrays.get(NAMES, ())
        index.model_name, index.encoder_sha256 = facts.model, facts.encoder_sha256
        index._search = ExactSearch(index.latents, np.array(arrays[MEAN]), arrays[HALF_NORMS])
        return index

    def __len__(self) -> int:
        return len(self.latents)

    def __repr__(self) -> str:
        model = f" of {self.model_name}" if self.model_name else ""
        return f"<Index: {len(self):,} latents{model}, {self.latents.shape[1]} latent dimensions>"

    @property
    def has_names(self) -> bool:
        """Whether the index holds the file names of its images."""
        return len(self._names) > 0

    def name(self, index: int) -> str:
        """The file name of the image at a position from 0 to n - 1; empty if the index holds no names."""
        if not self.has_names:
            return ""
        name = self._names[index]
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)

    def nearest(self, latents: ArrayLike, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Find the k nearest latents of each given latent by Euclidean distance, nearest first.

        latents: numbers (q, d), or one latent (d,). Of equally near latents, the one with the lowest index is first.
        Returns the indices, int64 (q, k), and the distances, float64 (q, k); or (k,) and (k,) for one latent. The
        distances are computed from differences in float64, so a latent has distance 0 to itself. No near latent is
        missed: a bound on rounding errors decides which distances are computed. Raises ShapeError for latents of
        another shape, InputError for latents that are not finite, or unless k is from 1 to n.
        """
        return self._search.nearest(latents, k)


def model_identity(model: "Autoencoder") -> tuple[str, str]:
    """The name of a model, and the SHA-256 of its encoder. Only latents of the same encoder can be compared."""
    return model.name, model.manifest.files[ENCODER].sha256


def is_index(path: str | Path) -> bool:
    """Whether a path is a folder with an index."""
    try:
        return (Path(path) / FACTS).is_file()
    except (OSError, ValueError):  # the path is too long, or holds a null character
        return False


def read_index_facts(folder: Path) -> IndexFacts:
    """Read the file `index.json` of an index, without opening its arrays.

    Raises NotFoundError if it cannot be opened, InputError if it is damaged or of another format.
    """
    file = folder / FACTS
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_FACTS_BYTES)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        found = f"no {FACTS}" if missing else str(error)
        remedy = "`aegen index` makes one."
        raise NotFoundError(str(folder), found=found, expected="an index", remedy=remedy) from error
    content = read_json(text, str(file))
    format = content.get("format") if isinstance(content, dict) else None
    if type(format) is int and format != FORMAT:
        raise InputError(str(file), found=f"format {format}", expected=f"format {FORMAT}", remedy=REMEDY)
    return from_json(IndexFacts, content, str(file))


def _mapped(folder: Path, tensor: Tensor) -> np.ndarray:
    """Memory-map one array of an index. Raises InputError unless it has the dtype and the shape that are stated."""
    if tensor.name not in (LATENTS, MEAN, HALF_NORMS, IMAGES, NAMES):
        raise InputError(str(folder / FACTS), found=f"array {tensor.name}", expected=f"{LATENTS} and others")
    file = folder / tensor.name
    try:
        array = map_npy(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read", found=error.strerror or error, remedy=REMEDY) from error
    if (str(array.dtype), array.shape) != (tensor.dtype, tensor.shape):
        found, expected = f"{array.dtype} {array.shape}", f"{tensor.dtype} {tensor.shape}"
        raise InputError(str(file), found=found, expected=expected, remedy=REMEDY)
    return array


def _check_arrays(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Raise InputError unless the arrays of an index, by file name, fit each other."""
    latents = arrays.get(LATENTS, np.empty(0))
    count, latent_dim = latents.shape if latents.ndim == 2 else (0, 0)
    expected = {LATENTS: ("float32", (count, latent_dim)), MEAN: ("float64", (latent_dim,))}
    expected |= {HALF_NORMS: ("float32", (count,))}
    found = {name: (str(arrays[name].dtype), arrays[name].shape) for name in arrays}
    images, names = arrays.get(IMAGES), arrays.get(NAMES)
    fits = 0 not in (count, latent_dim) and all(found.get(name) == wanted for name, wanted in expected.items())
    fits &= images is None or (images.dtype == np.uint8 and images.ndim in (3, 4) and len(images) == count)
    fits &= names is None or (names.dtype.kind == "S" and names.shape == (count,))
    if not fits:
        raise InputError(f"{folder} is damaged", found="arrays that do not fit each other", remedy=REMEDY)

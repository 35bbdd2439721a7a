"""The common base of the metadata of artifacts and of feature extractors: fields, rules, and reading of files."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from .errors import ArtifactError, InputError, NotFoundError
from .records import from_json, read_json, to_plain

MAX_METADATA_BYTES = 4_000_000  # limit on the size of a file of metadata; a real one has a few thousand bytes
MAX_PIXEL_VALUE = 2**16  # limit on the magnitude of the pixel values of black and white
MIN_PIXEL_RANGE = 2**-16  # lower limit on the difference between the pixel values of black and white
MAX_IMAGE_VALUES = 2**24  # limit on channels * height * width of an image
MAX_FILE_BYTES = 2**31  # limit on a file's size; an ONNX file cannot be larger
SHA256 = re.compile("[0-9a-f]{64}")

# A rule that metadata must satisfy: whether it holds, its key in the file, the value found, and the value expected.
Rule = tuple[bool, str, object, object]


class ImageSpec(NamedTuple):
    """The shape of the images that the networks take and return, and the range of their pixel values.

    shape: (channels, height, width). range: the pixel value of black and that of white.
    """

    shape: tuple[int, int, int]
    range: tuple[float, float]


@dataclass(frozen=True)
class DataSpec:
    """The images that a network was trained on.

    training_images, validation_images, test_images: numbers of images. Without test images, quality is measured on the
    validation images. labelled: whether the images have labels. shuffled: whether the training images were put into a
    fixed random order before the validation images were split off. sha256: the hash of the training and validation
    images in their stored order. With this hash, a user can check whether a copy of the data has the same images.
    """

    name: str
    licence: str
    source: str
    training_images: int
    validation_images: int
    labelled: bool
    sha256: str
    test_images: int = 0
    shuffled: bool = False


class FileSpec(NamedTuple):
    """Size and SHA-256 of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Metadata:
    """The metadata of a folder with exported networks, stored in a JSON file in this folder.

    format: version of the folder's format. recipe: the hyperparameters that the networks were trained with. versions:
    the versions of Python and of the packages that were used for the export, by name.
    """

    FORMAT: ClassVar[int]  # the format that is read and written
    SUBJECT: ClassVar[str]  # what the folder is, for error messages, such as "artifact"
    EXPECTED: ClassVar[str]  # SUBJECT with its article, such as "an artifact"
    COMMAND: ClassVar[str]  # the command that writes such folders

    format: int
    name: str
    image: ImageSpec
    data: DataSpec
    recipe: dict[str, Any]
    versions: dict[str, str]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file of metadata. Raises NotFoundError if it cannot be opened, ArtifactError if it is damaged."""
        try:
            with file.open("rb") as stream:
                text = stream.read(MAX_METADATA_BYTES + 1)
        except (OSError, ValueError) as error:
            missing = f"no {file.name}" if is_there(file.parent) else "no such folder"
            file_text = "a file" if isinstance(error, NotADirectoryError) else str(error)
            found = missing if isinstance(error, FileNotFoundError) else file_text
            remedy = f"`{cls.COMMAND}` makes one."
            raise NotFoundError(str(file.parent), found=found, expected=cls.EXPECTED, remedy=remedy) from error
        if len(text) > MAX_METADATA_BYTES:
            raise ArtifactError(str(file), found="more than 4 MB", expected="a few kB")
        return cls.parse(text, str(file))

    @classmethod
    def parse(cls, text: bytes, where: str) -> Self:
        """Parse metadata from the bytes of their file.

        where: the file's name, for error messages. Raises ArtifactError if the metadata are damaged, inconsistent or of
        a format other than FORMAT.
        """
        try:
            raw = read_json(text, where)
            found = raw.get("format") if isinstance(raw, dict) else None
            if type(found) is int and found != cls.FORMAT:
                newer = "A newer aegen wrote it. Run `pip install --upgrade aegen`."
                remedy = newer if found > cls.FORMAT else f"Export it again: `{cls.COMMAND}` writes the current format."
                found, expected = f"{cls.SUBJECT} format {found}", f"format {cls.FORMAT}"
                raise ArtifactError(where, found=found, expected=expected, remedy=remedy)
            metadata = from_json(cls, raw, where)
        except InputError as error:
            raise error.recast(ArtifactError) from error
        for holds, key, value, wanted in metadata.rules():
            if not holds:
                raise ArtifactError(f"{where}: {key}", found=value, expected=wanted)
        return metadata

    def to_json(self) -> bytes:
        """The content of the metadata's file, JSON in UTF-8."""
        return (json.dumps(to_plain(self), indent=2, ensure_ascii=False) + "\n").encode()

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that the values must satisfy. Subclasses add their own."""
        channels, height, width = self.image.shape
        low, high = self.image.range
        fits = channels in (1, 3) and height > 0 and width > 0 and channels * height * width <= MAX_IMAGE_VALUES
        yield fits, "image.shape", self.image.shape, f"1 or 3 channels, and at most {MAX_IMAGE_VALUES:,} values"
        fits = -MAX_PIXEL_VALUE <= low <= high - MIN_PIXEL_RANGE <= MAX_PIXEL_VALUE
        expected = f"black below white, and both from -{MAX_PIXEL_VALUE:,} to {MAX_PIXEL_VALUE:,}"
        yield fits, "image.range", self.image.range, expected


def file_rules(key: str, specs: Iterable[FileSpec]) -> Iterator[Rule]:
    """Yield the rules that sizes and hashes of files must satisfy. key: the key of the metadata that holds them."""
    for spec in specs:
        yield 0 <= spec.bytes <= MAX_FILE_BYTES, key, f"a size of {spec.bytes:,} bytes", "0 to 2 GiB each"
        yield bool(SHA256.fullmatch(spec.sha256)), key, "other hashes", "64 hex digits"


def is_there(path: Path) -> bool:
    """Whether a file or folder exists at a path. False if the path is too long or may not be read."""
    try:
        return path.exists()
    except OSError:  # raised for a name that is too long, or for a folder that may not be read
        return False

"""An artifact folder on disk: find it, and open it only if every file in it is the one that its manifest describes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ArtifactError, NotFoundError
from .manifest import LARGEST_MANIFEST, FileSpec, Manifest

SHIPPED = Path(__file__).parents[1] / "artifacts"
DEFAULT = "mnist"

MANIFEST, ENCODER, DECODER, PRIOR = "manifest.json", "encoder.onnx", "decoder.onnx", "prior.onnx"
LATENTS, GOLDEN, CARD, PREVIEW = "latents.npz", "golden.npz", "README.md", "preview.png"


@dataclass(frozen=True)
class Artifact:
    """A folder, its manifest, and the bytes of its files, each of which has passed its SHA-256.

    What is run is what was checked: the bytes are read once, and the folder may change afterwards. Nothing in them is
    executed or unpickled.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> "Artifact":
        """Read an artifact folder whole.

        Raises NotFoundError when there is no artifact at `path`, ArtifactError when a file is missing or not the one
        that the manifest describes.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        _check_graphs(manifest, str(folder / MANIFEST))
        return cls(folder, manifest, {name: verified(folder / name, spec) for name, spec in manifest.files.items()})

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises ArtifactError when this artifact has none of that name."""
        if name not in self.contents:
            found = ", ".join(self.contents)
            raise ArtifactError(f"{self.path}: {name} is not in this artifact", found=found)
        return self.contents[name]


def _check_graphs(manifest: Manifest, where: str) -> None:
    """The graphs that the runtime runs must take and give what the manifest says of pictures and codes."""
    image, latent = ("batch", *manifest.image.shape), ("batch", manifest.latent_dim)
    wanted = [(ENCODER, [image], latent), (DECODER, [latent], image)]
    if PRIOR in manifest.graphs:
        wanted.append((PRIOR, [latent, ("batch",)] if manifest.labels else [latent], latent))
    for name, given, result in wanted:
        graph = manifest.graphs.get(name)
        found = graph and ([one.shape for one in graph.inputs], {one.shape for one in graph.outputs})
        if found != (given, {result}):
            raise ArtifactError(f"{where}: graphs: {name}", found=found or "nothing", expected=f"{given} to {result}")


def read_manifest(folder: Path) -> Manifest:
    """What an artifact says of itself, its other files unopened. Raises NotFoundError or ArtifactError."""
    where = folder / MANIFEST
    if not where.is_file():
        found = f"no {MANIFEST}" if folder.is_dir() else "no such folder"
        raise NotFoundError(str(folder), found=found, expected="an artifact", remedy="`aegen export` makes one.")
    with where.open("rb") as stream:
        text = stream.read(LARGEST_MANIFEST + 1)
    if len(text) > LARGEST_MANIFEST:
        raise ArtifactError(str(where), found="more than 4 MB", expected="a few kB")
    return Manifest.parse(text, str(where))


def file_spec(content: bytes) -> FileSpec:
    """Size and SHA-256 of a file's bytes."""
    return FileSpec(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def verified(file: Path, expected: FileSpec) -> bytes:
    """The bytes of a file. Raises ArtifactError when it is missing or not the one expected."""
    remedy = "Export or install the artifact again."
    if not file.is_file():
        raise ArtifactError(f"{file} is missing", remedy=remedy)
    if file.stat().st_size != expected.bytes:
        found = f"{file.stat().st_size} bytes"
        raise ArtifactError(f"{file} is damaged", found=found, expected=f"{expected.bytes} bytes", remedy=remedy)
    content = file.read_bytes()
    found = file_spec(content).sha256
    if found != expected.sha256:
        raise ArtifactError(
            f"{file} is damaged", found=f"sha256 {found}", expected=f"sha256 {expected.sha256}", remedy=remedy
        )
    return content


def find(model: str | Path | None = None) -> Path:
    """The folder of a model given as a shipped name or as a path; None is the shipped default.

    A text that is a shipped name wins over a folder of that name in the current directory: for the folder write
    `./name`, or give a Path.
    """
    if model is None:
        return SHIPPED / DEFAULT
    if isinstance(model, str) and model in shipped():
        return SHIPPED / model
    path = Path(model)
    if not path.exists():
        names = ", ".join(shipped())
        raise NotFoundError(f"model {str(model)!r}", found="no such name or folder", expected=f"{names}, or a path")
    return path


def shipped() -> tuple[str, ...]:
    """Names of the artifacts that come with the package."""
    return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if (folder / MANIFEST).is_file()))

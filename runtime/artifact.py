"""An artifact folder on disk: find it, and open it only if every file in it is the one that its manifest describes."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ArtifactError, InputError, NotFoundError, shown
from .manifest import MAX_MANIFEST_BYTES, FileSpec, Graph, Manifest, Tensor, signature_text

SHIPPED = Path(__file__).parents[1] / "artifacts"
DEFAULT = "mnist"

MANIFEST, ENCODER, DECODER, PRIOR = "manifest.json", "encoder.onnx", "decoder.onnx", "prior.onnx"
LATENTS, GOLDEN, CARD, PREVIEW = "latents.npz", "golden.npz", "README.md", "preview.png"
LATENT_NAMES = ("latent", "noise", "logvar")  # tensors that are a latent, or as long as one


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
        while True:
            _check_graphs(manifest, str(folder / MANIFEST))
            try:
                return cls(
                    folder, manifest, {name: verified(folder / name, spec) for name, spec in manifest.files.items()}
                )
            except ArtifactError:
                before, manifest = manifest, read_manifest(folder)
                if manifest == before:
                    raise  # else it has been replaced by another meanwhile, which is read instead

    def read(self, name: str) -> bytes:
        """The bytes of one file. Raises ArtifactError when this artifact has none of that name."""
        if name not in self.contents:
            found = ", ".join(self.contents)
            raise ArtifactError(f"{self.path}: {name} is not in this artifact", found=found)
        return self.contents[name]


def _check_graphs(manifest: Manifest, where: str) -> None:
    """The graphs that the runtime runs must take and give what the manifest says of images and latents."""
    image = Tensor("image", "float32", ("batch", *manifest.image.shape))
    latent, noise, logvar = (Tensor(name, "float32", ("batch", manifest.latent_dim)) for name in LATENT_NAMES)
    label = Tensor("label", "int64", ("batch",))
    wanted = {
        ENCODER: Graph((image,), (latent, logvar) if manifest.kind == "vae" else (latent,)),
        DECODER: Graph((latent,), (image,)),
    }
    if PRIOR in manifest.graphs:
        wanted[PRIOR] = Graph((noise, label) if manifest.labels else (noise,), (latent,))
    for name, expected in wanted.items():
        found = manifest.graphs.get(name)
        if found != expected:
            described = "nothing" if found is None else signature_text(found)
            raise ArtifactError(f"{where}: graphs: {name}", found=described, expected=signature_text(expected))
        if name not in manifest.files:
            raise ArtifactError(f"{where}: files", found=f"no {name}", expected="every graph")


def read_manifest(folder: Path) -> Manifest:
    """What an artifact says of itself, its other files unopened. Raises NotFoundError or ArtifactError."""
    where = folder / MANIFEST
    try:
        with where.open("rb") as stream:
            text = stream.read(MAX_MANIFEST_BYTES + 1)
    except (OSError, ValueError) as error:
        missing = f"no {MANIFEST}" if _is_there(folder) else "no such folder"
        found = missing if isinstance(error, FileNotFoundError) else str(error)
        remedy = "`aegen export` makes one."
        raise NotFoundError(str(folder), found=found, expected="an artifact", remedy=remedy) from error
    if len(text) > MAX_MANIFEST_BYTES:
        raise ArtifactError(str(where), found="more than 4 MB", expected="a few kB")
    return Manifest.parse(text, str(where))


def file_spec(content: bytes) -> FileSpec:
    """Size and SHA-256 of a file's bytes."""
    return FileSpec(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def verified(file: Path, expected: FileSpec) -> bytes:
    """The bytes of a file. Raises ArtifactError when it is missing or not the one expected."""
    remedy = "Export or install the artifact again."
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(expected.bytes + 1) if size == expected.bytes else b""
    except FileNotFoundError as error:
        raise ArtifactError(f"{file} is missing", remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{file} cannot be read", found=error, remedy=remedy) from error
    if size != expected.bytes:
        raise ArtifactError(
            f"{file} is damaged", found=f"{size} bytes", expected=f"{expected.bytes} bytes", remedy=remedy
        )
    found = file_spec(content).sha256
    if found != expected.sha256:
        raise ArtifactError(
            f"{file} is damaged", found=f"sha256 {found}", expected=f"sha256 {expected.sha256}", remedy=remedy
        )
    return content


def find(model: str | Path | None = None) -> Path:
    """The folder of a model given as a shipped name or as a path, `~` being the home folder; None is the default.

    A text that is a shipped name wins over a folder of that name in the current directory: for the folder write
    `./name`, or give a Path.
    """
    if model is None:
        return SHIPPED / DEFAULT
    if not isinstance(model, str | os.PathLike):
        raise InputError("model", found=shown(model), expected="a name, a path, or None")
    if isinstance(model, str) and model in shipped():
        return SHIPPED / model
    path = _expanded(Path(model))
    if not _is_there(path):
        names = ", ".join(shipped())
        expected = f"{names}, or a path" if names else "a path, for no model ships with this installation"
        raise NotFoundError(f"model {str(model)!r}", found="no such name or folder", expected=expected)
    return path


def shipped() -> tuple[str, ...]:
    """Names of the artifacts that come with the package; none where it is installed without its data."""
    try:
        return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if (folder / MANIFEST).is_file()))
    except OSError:
        return ()


def _expanded(path: Path) -> Path:
    """`~` at the beginning is the home folder, where there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a folder that may not be looked into
        return False

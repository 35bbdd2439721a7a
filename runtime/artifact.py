"""Find an artifact, the folder of an exported model, and open it only if every file matches the manifest."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import ArtifactError, InputError, NotFoundError, shown
from .manifest import MAX_LATENT_DIM, Graph, Manifest, Tensor, signature_text
from .metadata import FileSpec, is_there

SHIPPED = Path(__file__).parents[1] / "artifacts"
DEFAULT = "mnist"

MANIFEST, ENCODER, DECODER = "manifest.json", "encoder.onnx", "decoder.onnx"
LATENTS, GOLDEN, CARD, PREVIEW = "latents.npz", "golden.npz", "README.md", "preview.png"


class Artifact(NamedTuple):
    """An exported model: its folder, its manifest, and the bytes of its files, whose SHA-256 hashes have been checked.

    Each file is read only once, so that the bytes used later are the bytes that were checked, even if the folder
    changes afterwards. Nothing in the files is executed or unpickled.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"Artifact({str(self.path)!r})"  # the bytes of the files are left out

    @classmethod
    def open(cls, path: str | Path) -> "Artifact":
        """Read all files of an artifact folder.

        Raises NotFoundError if there is no artifact at `path`, ArtifactError if a file is missing or does not match the
        manifest.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        while True:
            _check_graphs(manifest, str(folder / MANIFEST))
            try:
                contents = {name: verified(folder / name, spec) for name, spec in manifest.files.items()}
                return cls(folder, manifest, contents)
            except ArtifactError:
                previous, manifest = manifest, read_manifest(folder)
                if manifest == previous:
                    raise
                # The manifest has changed, because another artifact replaced this one while it was read. Read the new
                # artifact.

    def read(self, name: str) -> bytes:
        """The bytes of one file of the artifact. Raises ArtifactError if the artifact has no file of this name."""
        if name not in self.contents:
            found = ", ".join(self.contents)
            raise ArtifactError(f"{self.path}: {name} is not in this artifact", found=found)
        return self.contents[name]


def _check_graphs(manifest: Manifest, where: str) -> None:
    """Check the graphs of the manifest: their inputs, outputs and operators. Raises ArtifactError if one is wrong."""
    latent = Tensor("latent", "float32", ("batch", manifest.latent_dim))
    logvar = Tensor("logvar", "float32", ("batch", manifest.latent_dim))
    image = Tensor("image", "float32", ("batch", *manifest.image.shape))
    wanted = [
        (ENCODER, Graph((image,), (latent, logvar) if manifest.kind == "vae" else (latent,))),
        (DECODER, Graph((latent,), (image,))),
    ]
    label = (Tensor("label", "int64", ("batch",)),) if manifest.labels else ()
    for prior in manifest.learned_priors.values():
        k = noise_dim(manifest.graphs[prior.graph], f"{where}: graphs: {prior.graph}")
        wanted.append((prior.graph, Graph((Tensor("noise", "float32", ("batch", k)), *label), (latent,))))
    for name, expected in wanted:
        found = manifest.graphs.get(name)
        if found != expected:
            described = "nothing" if found is None else signature_text(found)
            raise ArtifactError(f"{where}: graphs: {name}", found=described, expected=signature_text(expected))
        if name not in manifest.files:
            raise ArtifactError(f"{where}: files", found=f"no {name}", expected="every graph")
        _check_operators(manifest.operators[name], f"{where}: operators: {name}")


def verified_graphs(manifest: Manifest) -> tuple[str, ...]:
    """File names of the graphs that the runtime runs and `verify` checks: encoder, decoder and every learned prior."""
    return ENCODER, DECODER, *(prior.graph for prior in manifest.learned_priors.values())


def noise_dim(graph: Graph, where: str) -> int:
    """The size k of the input `noise` [batch, k] of a learned prior. where: the graph's file, for error messages.

    Raises ArtifactError if there is no such input, or if k is not a number from 1 to MAX_LATENT_DIM.
    """
    for tensor in graph.inputs:
        k = tensor.shape[-1] if tensor.name == "noise" and tensor.shape else None
        if isinstance(k, int) and 1 <= k <= MAX_LATENT_DIM:
            return k
    expected = f"an input noise [batch, k] with a number k from 1 to {MAX_LATENT_DIM:,}"
    raise ArtifactError(where, found=signature_text(graph), expected=expected)


def _check_operators(names: tuple[str, ...], where: str) -> None:
    """Raise ArtifactError if `names` has an ONNX operator that the runtime does not accept."""
    # Imported only here: this module imports numpy, and commands that only read manifests should start without numpy.
    from .graphs.operators import ACCEPTED

    unknown = sorted(set(names) - ACCEPTED)
    if unknown:
        raise ArtifactError(where, found=", ".join(unknown), expected="operators that the runtime accepts")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an artifact folder, without opening the folder's other files.

    Raises NotFoundError if the manifest cannot be opened, ArtifactError if it is damaged.
    """
    return Manifest.read(folder / MANIFEST)


def file_spec(content: bytes) -> FileSpec:
    """The size and SHA-256 of a file with this content."""
    return FileSpec(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def verified(file: Path, expected: FileSpec) -> bytes:
    """Read a file. Raises ArtifactError if it cannot be read, or if its size or SHA-256 is not the expected one."""
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
    """Find the artifact folder of a model.

    model: the name of a shipped model, a path in which a leading `~` is the home folder, or None for the shipped
    default. A string that is a shipped name means the shipped model, even if the current directory has a folder of that
    name. To open that folder, write `./name` or pass a Path. Raises NotFoundError if there is no such model, InputError
    if `model` is neither a string nor a path.
    """
    if model is None:
        return SHIPPED / DEFAULT
    if not isinstance(model, str | os.PathLike):
        raise InputError("model", found=shown(model), expected="a name, a path, or None")
    if isinstance(model, str) and model in shipped():
        return SHIPPED / model
    path = _expanded(Path(model))
    if not is_there(path):
        names = ", ".join(shipped())
        expected = f"{names}, or a path" if names else "a path, for no model ships with this installation"
        raise NotFoundError(f"model {str(model)!r}", found="no such name or folder", expected=expected)
    return path


def shipped() -> tuple[str, ...]:
    """Sorted names of the artifacts that ship with the package; empty if it was installed without them."""
    try:
        return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if (folder / MANIFEST).is_file()))
    except OSError:
        return ()


def _expanded(path: Path) -> Path:
    """Replace a leading `~` of a path by the home folder. The path stays unchanged if the home folder is unknown."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path

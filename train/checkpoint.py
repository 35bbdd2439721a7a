"""Checkpoints: a network's weights with everything that is needed to use them, and nothing that is executed."""

import dataclasses
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..runtime.errors import InputError, NotFoundError
from ..runtime.files import write_bytes
from ..runtime.manifest import DataSpec
from ..runtime.pixels import Shape
from ..runtime.records import from_json
from .models import EncoderDecoder, build
from .recipe import Recipe

FORMAT = 1
BEST, LAST = "best.pt", "last.pt"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network as it was after `epoch` epochs.

    data: the `--data` argument as an absolute path or a name. validation_loss: in the units of the recipe's loss.
    file: the name of the file that it was read from.
    """

    recipe: Recipe
    shape: Shape
    data: str
    facts: DataSpec
    epoch: int
    validation_loss: float
    weights: dict[str, torch.Tensor]
    file: str = LAST

    def network(self) -> EncoderDecoder:
        """The network with these weights, ready for inference. Raises InputError when they are not the recipe's."""
        network = build(self.recipe, self.shape)
        try:
            network.load_state_dict(self.weights)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise InputError(f"{self.file}: weights", found="others", expected="those of its recipe") from error
        return network.eval()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    content = {
        "format": FORMAT,
        "recipe": dataclasses.asdict(checkpoint.recipe),
        "facts": dataclasses.asdict(checkpoint.facts),
        **{name: getattr(checkpoint, name) for name in ("shape", "data", "epoch", "validation_loss", "weights")},
    }
    buffer = io.BytesIO()  # torch reports a full disk in words of its own; a plain write in the system's
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def read(path: Path) -> Checkpoint:
    """A checkpoint from its file, read without executing anything.

    path: the file, or the run folder, which stands for its best epoch. Raises NotFoundError when there is none,
    InputError when the file is damaged or no checkpoint of aegen's.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        found = f"no {BEST}" if path.is_dir() else "no such file or folder"
        raise NotFoundError(str(path), found=found, expected="a training run", remedy="`aegen train` makes one.")
    try:
        with zipfile.ZipFile(file) as archive:  # torch itself checks no checksum
            damaged = archive.testzip()
        content: Any = None if damaged else torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch lets through whatever its unpickler meets
        expected = "a checkpoint written by `aegen train`"
        raise InputError(str(file), found="another or a damaged file", expected=expected) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(str(file), found="another or a damaged file", expected="a checkpoint written by `aegen train`")
    weights = content.pop("weights", {})
    facts = from_json(Checkpoint, {**content, "weights": {}}, str(file))
    return dataclasses.replace(facts, weights=weights, file=file.name)

"""Make the two tiny artifacts (exported models) beside this file, so that tests of the runtime need no torch.

    python tests/tiny/generate.py [FOLDER]

Both models are trained and exported like any other, on images that show one bright bar each. Height and width differ,
so that a test fails if rows and columns are confused. The images of `colour` are RGB with pixels in [-1, 1], so that a
test fails if the range is ignored.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from aegen.data.datasets import load
from aegen.export.artifact import export
from aegen.export.options import ExportOptions
from aegen.recipes.training import Recipe
from aegen.train import checkpoint
from aegen.train.autoencoder import train

SHAPES = {"grey": (6, 5), "colour": (4, 6, 3)}
RECIPES = {
    "grey": Recipe(widths=(8,), latent_dim=3, epochs=30, learning_rate=0.02),
    "colour": Recipe(widths=(8,), latent_dim=4, epochs=30, learning_rate=0.02, loss="mse", activation="tanh"),
}


def bars(n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Make n images, uint8, each a bright row or column on a dark ground. shape of an image: (H, W) or (H, W, 3)."""
    random = np.random.default_rng(0)
    images = random.integers(0, 40, (n, *shape), np.uint8)
    for image in images:
        line = image[random.integers(shape[0])] if random.random() < 0.5 else image[:, random.integers(shape[1])]
        line[...] = random.integers(180, 256, line.shape[1:])
    return images


def generate(folder: Path) -> None:
    """Train and export both models, and write their artifacts `grey` and `colour` into a folder."""
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory() as scratch:
            data, run = Path(scratch, "bars.npz"), Path(scratch, "run")
            np.savez(data, images=bars(600, shape))
            dataset = load(str(data))
            train(RECIPES[name], dataset, run, threads=1)
            shutil.rmtree(folder / name, ignore_errors=True)
            options = ExportOptions(name=name, licence="CC0", components=3)
            export(checkpoint.read(run), dataset, folder / name, options=options)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

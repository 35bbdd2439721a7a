"""The recipe: every hyperparameter of a training run, in one table."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.sources import read_text
from ..runtime.errors import InputError, NotFoundError
from ..runtime.records import from_json
from .hyperparameters import MAX_SEED, check_hyperparameters, one_of

KINDS = ("ae", "dae", "vae")
NETWORKS = ("mlp", "conv")
LOSSES = ("bce", "mse", "gaussian")
OUTPUTS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # the decoder's last step, and the pixel range that it gives
CORRUPTIONS = ("none", "gaussian", "masking", "salt-pepper", "occlusion", "mixed")
MAX_WIDTH = 65_536  # units of a layer: a typing error beyond it would take all memory
SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """What decides, together with the data, what a training run gives. Raises InputError for an unusable setting."""

    # The networks
    kind: str = "ae"  # "ae" autoencoder, "dae" denoising autoencoder, "vae" variational autoencoder
    network: str = "mlp"  # "mlp" fully connected, or "conv" convolutional, for sides divisible by 4
    widths: tuple[int, ...] = (256, 64)  # mlp: units of the encoder's hidden layers; the decoder mirrors them
    channels: int = 32  # conv: channels at half the side; twice as many at a quarter of it
    latent_dim: int = 32  # axes of a code
    # What is minimised: summed over pixels and latent dimensions, averaged over the batch
    loss: str = "bce"  # "bce" in nats; "mse" squared error; "gaussian" in nats, with one learned sigma
    output: str = "sigmoid"  # "sigmoid": pixels in [0, 1]; "tanh": pixels in [-1, 1], not with "bce"
    beta: float = 1.0  # vae: weight of the KL divergence; 1 is the ELBO, a small one a regularised autoencoder
    beta_warmup: float = 0.0  # vae: share of all steps in which beta rises from 0
    latent_l2: float = 0.0  # ae, dae: weight of half the squared length of a code
    # What a denoising autoencoder is shown; it is to give back the clean image
    corruption: str = "none"  # "gaussian", "masking", "salt-pepper", "occlusion", or "mixed": any of the four
    strength: tuple[float, float] = (0.0, 0.5)  # drawn for each image: sigma, or the share of pixels or of the side
    # How it is minimised: AdamW, the rate rising linearly and then falling along half a cosine to zero
    epochs: int = 40  # passes over the training images
    batch_size: int = 128  # images in one step
    learning_rate: float = 2e-3  # at its peak
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight_decay: float = 1e-4  # AdamW's, decoupled from the rate
    clip: float = 100.0  # largest norm of a gradient; far above the usual one, it only catches accidents
    seed: int = 0  # of the initial weights, the order of the images and all noise

    def __post_init__(self) -> None:
        low, high = self.strength
        rules = [
            one_of("kind", self.kind, KINDS),
            one_of("network", self.network, NETWORKS),
            (all(0 < width <= MAX_WIDTH for width in self.widths), "widths", f"numbers from 1 to {MAX_WIDTH}"),
            (0 < self.channels <= MAX_WIDTH, "channels", f"a number from 1 to {MAX_WIDTH}"),
            (0 < self.latent_dim <= MAX_WIDTH, "latent_dim", f"a number from 1 to {MAX_WIDTH}"),
            one_of("loss", self.loss, LOSSES),
            one_of("output", self.output, OUTPUTS),
            (self.beta >= 0, "beta", "a number from 0"),
            (0 <= self.beta_warmup <= 1, "beta_warmup", "a share from 0 to 1"),
            (self.latent_l2 >= 0, "latent_l2", "a number from 0"),
            one_of("corruption", self.corruption, CORRUPTIONS),
            (0 <= low <= high <= 1, "strength", "two numbers from 0 to 1, the smaller first"),
            (self.epochs > 0, "epochs", "at least 1"),
            (self.batch_size > 0, "batch_size", "at least 1"),
            (self.learning_rate > 0, "learning_rate", "a positive number"),
            (0 <= self.warmup < 1, "warmup", "a share from 0 to below 1"),
            (self.weight_decay >= 0, "weight_decay", "a number from 0"),
            (self.clip > 0, "clip", "a positive number"),
            (0 <= self.seed <= MAX_SEED, "seed", f"a whole number from 0 to {MAX_SEED}"),
        ]
        check_hyperparameters("recipe", self, rules)
        self._check_together()

    def _check_together(self) -> None:
        """Knobs that are fine alone and make no sense together."""
        rules = [
            (
                self.loss == "bce" and self.output == "tanh",
                "loss bce",
                "output tanh",
                "loss mse or gaussian, or sigmoid",
            ),
            (self.kind == "dae" and self.corruption == "none", "kind dae", "no corruption", CORRUPTIONS[1:]),
            (self.kind != "dae" and self.corruption != "none", f"kind {self.kind}", "a corruption", "kind dae"),
            (self.kind == "vae" and self.latent_l2 > 0, "kind vae", "a latent_l2", "beta, or kind ae"),
            (self.kind != "vae" and self.beta != 1, f"kind {self.kind}", "a beta", "latent_l2, or kind vae"),
            (self.kind != "vae" and self.beta_warmup > 0, f"kind {self.kind}", "a beta_warmup", "kind vae"),
            (self.kind == "vae" and self.loss == "mse", "kind vae", "loss mse, no likelihood", "bce or gaussian"),
        ]
        for broken, subject, found, expected in rules:
            if broken:
                wanted = expected if isinstance(expected, str) else f"one of {', '.join(expected)}"
                raise InputError(f"recipe: {subject}", found=found, expected=wanted)

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The values of black and white that the networks see."""
        return OUTPUTS[self.output]


def recipe_from(settings: Any, where: str) -> Recipe:
    """A recipe from decoded JSON or TOML.

    Raises InputError, naming the hyperparameter, when it is unknown, of a wrong type or out of range.
    """
    known = {field.name for field in dataclasses.fields(Recipe)}
    unknown = [hyperparameter for hyperparameter in settings if hyperparameter not in known]
    if unknown:
        raise InputError(
            f"{where}: {unknown[0]}", found="an unknown hyperparameter", expected=f"one of {', '.join(sorted(known))}"
        )
    return from_json(Recipe, settings, where)


def named_recipe(name: str, **overrides: Any) -> Recipe:
    """A shipped recipe by name, or one from a TOML file by its path, with some hyperparameters set otherwise.

    Raises NotFoundError when there is neither, InputError when the file is damaged or a hyperparameter unusable.
    """
    file = str(SHIPPED / f"{name}.toml") if name in shipped_recipes() else name
    try:
        text = read_text(file)
    except NotFoundError as error:
        expected = f"{', '.join(shipped_recipes())}, or a TOML file"
        raise NotFoundError(f"recipe {name!r}", found="no such name or file", expected=expected) from error
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no readable TOML file: {error}") from error
    return recipe_from({**settings, **overrides}, file)


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with aegen."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))

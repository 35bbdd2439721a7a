"""The recipe of an autoencoder: all hyperparameters of a training run."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..files.sources import read_text
from ..runtime.errors import InputError, NotFoundError
from ..runtime.records import from_json
from .hyperparameters import MAX_SEED, MAX_STEPS, Hyperparameters, hyperparameter

KINDS = ("ae", "dae", "vae")
NETWORKS = ("mlp", "conv")  # names of the networks, which train/networks.py builds
LOSSES = ("bce", "mse", "gaussian")  # names of the losses, which train/objectives.py computes
ACTIVATIONS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # final activations of the decoder, with their ranges
# Ways to corrupt the input of a denoising autoencoder, which train/corruption.py implements.
CORRUPTIONS = ("none", "gaussian", "masking", "salt-pepper", "occlusion", "mixed")
DEFAULT_STEPS = 15_640  # number of steps in 40 epochs of the 50,000 training images of MNIST, with a batch size of 128
# Maximum number of epochs if a recipe gives a number of steps. More passes would only overfit a small set, and each
# epoch also takes the time of an evaluation and a checkpoint.
MAX_EPOCHS = 500
MAX_LEVELS = 16  # limit on the levels of a convolutional network, as no image has a side above 2^16 pixels
MAX_WIDTH = 65_536  # limit on units or channels of a layer; a larger number is probably a typo
SHIPPED = Path(__file__).parent


@dataclass(frozen=True)
class Recipe(Hyperparameters):
    """Hyperparameters of an autoencoder. The hyperparameters and the data determine the trained network.

    The reconstruction error is summed over pixels, the penalty of latents over latent dimensions. Both are averaged
    over the batch, and AdamW minimises their weighted sum. Its learning rate rises linearly, then falls along half a
    cosine to zero. Raises InputError when a value is not allowed, or when values contradict one another.
    """

    stage: ClassVar[str] = "recipe"

    # Hyperparameters of the networks
    kind: str = hyperparameter("ae", "Plain (ae), denoising (dae) or variational (vae) autoencoder.", choices=KINDS)
    network: str = hyperparameter("mlp", "Fully connected (mlp), or convolutional (conv).", choices=NETWORKS)
    widths: tuple[int, ...] = hyperparameter(
        (256, 64), "mlp: units of the encoder's hidden layers.", at_least=1, at_most=MAX_WIDTH
    )
    decoder_widths: tuple[int, ...] = hyperparameter(
        (),
        "mlp: the same of the decoder, which mirrors the encoder by default.",
        at_least=1,
        at_most=MAX_WIDTH,
    )
    channels: int = hyperparameter(
        32,
        "conv: the encoder's channels at twice the smallest side; twice as many at the smallest, half at each above.",
        at_least=1,
        at_most=MAX_WIDTH,
    )
    decoder_channels: tuple[int, ...] = hyperparameter(
        (),
        "conv: the decoder's channels from the smallest side on, then half at each; by default it mirrors the encoder.",
        at_least=1,
        at_most=MAX_WIDTH,
    )
    levels: int = hyperparameter(
        0,
        "conv: how often the sides are halved; by default until the shorter one has 8 pixels or fewer, at least twice.",
        at_least=0,
        at_most=MAX_LEVELS,
        default_text="by the size",
    )
    latent_dim: int = hyperparameter(32, "Number of latent dimensions.", at_least=1, at_most=MAX_WIDTH)

    # Hyperparameters of the loss
    loss: str = hyperparameter(
        "bce",
        "Reconstruction error: bce in nats; mse, squared error; gaussian in nats, with one learned sigma.",
        choices=LOSSES,
    )
    activation: str = hyperparameter(
        "sigmoid",
        "Final activation of the decoder: sigmoid for pixels in [0, 1], tanh for [-1, 1].",
        choices=tuple(ACTIVATIONS),
    )
    beta: float = hyperparameter(
        1.0, "vae: weight of the KL divergence; 1 is the ELBO, less a regularised autoencoder.", at_least=0
    )
    beta_warmup: float = hyperparameter(
        0.0, "vae: fraction of all steps in which beta rises from 0.", at_least=0, at_most=1
    )
    latent_l2: float = hyperparameter(0.0, "ae, dae: weight of half the squared norm of a latent.", at_least=0)

    # How a denoising autoencoder's input is corrupted; the loss compares its output with the clean image
    corruption: str = hyperparameter("none", "dae: how the input images are corrupted.", choices=CORRUPTIONS)
    strength: tuple[float, float] = hyperparameter(
        (0.0, 0.5),
        "dae: range of the strength, drawn for each image: sigma, or the fraction of the pixels or of the side.",
        at_least=0,
        at_most=1,
    )

    # Hyperparameters of the optimisation
    epochs: int = hyperparameter(
        0, "Passes over the training images.", at_least=0, at_most=MAX_STEPS, default_text="as many as steps need"
    )
    steps: int = hyperparameter(
        0,
        f"Training steps, in place of epochs; rounded up to whole epochs, at most {MAX_EPOCHS}.",
        at_least=0,
        at_most=MAX_STEPS,
        default_text=str(DEFAULT_STEPS),
    )
    batch_size: int = hyperparameter(128, "Images in one step.", at_least=1, at_most=MAX_STEPS)
    learning_rate: float = hyperparameter(2e-3, "Peak learning rate of AdamW.", above=0)
    warmup: float = hyperparameter(0.05, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1)
    weight_decay: float = hyperparameter(1e-4, "Decoupled weight decay of AdamW.", at_least=0)
    clip: float = hyperparameter(100.0, "Larger gradients are scaled down to this norm; most are far smaller.", above=0)
    seed: int = hyperparameter(
        0, "Seed of the initial weights, the order of the images and all noise.", at_least=0, at_most=MAX_SEED
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.strength
        if low > high:
            raise InputError("recipe: strength", found=self.strength, expected="two numbers, the smaller first")
        self._check_together()

    def _check_together(self) -> None:
        """Raise InputError if two hyperparameters contradict each other, although the value of each is allowed."""
        losses, corruptions = "loss mse or gaussian, or activation sigmoid", f"one of {', '.join(CORRUPTIONS[1:])}"
        conflicts = [
            (self.loss == "bce" and self.activation == "tanh", "loss bce", "activation tanh", losses),
            (self.kind == "dae" and self.corruption == "none", "kind dae", "no corruption", corruptions),
            (self.kind != "dae" and self.corruption != "none", f"kind {self.kind}", "a corruption", "kind dae"),
            (self.kind == "vae" and self.latent_l2 > 0, "kind vae", "a latent_l2", "beta, or kind ae"),
            (self.kind != "vae" and self.beta != 1, f"kind {self.kind}", "a beta", "latent_l2, or kind vae"),
            (self.kind != "vae" and self.beta_warmup > 0, f"kind {self.kind}", "a beta_warmup", "kind vae"),
            (self.kind == "vae" and self.loss == "mse", "kind vae", "loss mse, no likelihood", "bce or gaussian"),
            (self.epochs > 0 and self.steps > 0, "epochs", "steps too", "one of the two"),
        ]  # fmt: skip
        for conflict, subject, found, expected in conflicts:
            if conflict:
                raise InputError(f"recipe: {subject}", found=found, expected=expected)

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The values of a black and of a white pixel in the input and output of the networks."""
        return ACTIVATIONS[self.activation]


def recipe_from(settings: Any, where: str) -> Recipe:
    """Build a recipe from the decoded content of a JSON or TOML file. where: the file's name, for error messages.

    Raises InputError that names the hyperparameter when one is unknown, of a wrong type or out of range.
    """
    known = {field.name for field in dataclasses.fields(Recipe)}
    unknown = [name for name in settings if name not in known]
    if unknown:
        expected = f"one of {', '.join(sorted(known))}"
        raise InputError(f"{where}: {unknown[0]}", found="an unknown hyperparameter", expected=expected)
    return from_json(Recipe, settings, where)


def named_recipe(name: str, **overrides: Any) -> Recipe:
    """Load a shipped recipe by its name, or a recipe in a TOML file by its path; `overrides` replace hyperparameters.

    Raises NotFoundError when there is no such name or file, InputError when the file is damaged or a value is not
    allowed.
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
    # A recipe may not state both epochs and steps. So an override of one removes the other from the file's settings.
    for name_of_length, other in (("epochs", "steps"), ("steps", "epochs")):
        if overrides.get(name_of_length) and other not in overrides:
            settings.pop(other, None)
    return recipe_from({**settings, **overrides}, file)


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that are shipped with aegen."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))

"""The recipe: every knob of a training run, in one table."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..runtime.errors import InputError

KINDS = ("ae",)
LOSSES = ("bce", "mse")
OUTPUTS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}  # the decoder's last step, and the pixel range that it gives
WIDEST = 65_536  # units of a layer: a typing error beyond it would take all memory
LARGEST_SEED = 2**63 - 1  # torch's


@dataclass(frozen=True)
class Recipe:
    """What decides, together with the data, what a training run gives. Raises InputError for an unusable setting."""

    # The networks
    kind: str = "ae"  # plain autoencoder
    widths: tuple[int, ...] = (256, 64)  # units of the encoder's hidden layers; the decoder mirrors them
    latent_dim: int = 32  # axes of a code
    # What is minimised: summed over pixels, averaged over the batch
    loss: str = "bce"  # "bce" in nats, or "mse" squared error
    output: str = "sigmoid"  # "sigmoid": pixels in [0, 1]; "tanh": pixels in [-1, 1], with "mse" only
    # How it is minimised: AdamW, the rate rising linearly and then falling along half a cosine to zero
    epochs: int = 40  # passes over the training pictures
    batch_size: int = 128  # pictures in one step
    learning_rate: float = 2e-3  # at its peak
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight_decay: float = 1e-4  # AdamW's, decoupled from the rate
    clip: float = 100.0  # largest norm of a gradient; far above the usual one, it only catches accidents
    seed: int = 0  # of the initial weights and of the order of the pictures

    def __post_init__(self) -> None:
        rules = [
            (self.kind in KINDS, "kind", self.kind, f"one of {', '.join(KINDS)}"),
            (all(0 < width <= WIDEST for width in self.widths), "widths", self.widths, f"numbers from 1 to {WIDEST}"),
            (0 < self.latent_dim <= WIDEST, "latent_dim", self.latent_dim, f"a number from 1 to {WIDEST}"),
            (self.loss in LOSSES, "loss", self.loss, f"one of {', '.join(LOSSES)}"),
            (self.output in OUTPUTS, "output", self.output, f"one of {', '.join(OUTPUTS)}"),
            (self.epochs > 0, "epochs", self.epochs, "at least 1"),
            (self.batch_size > 0, "batch_size", self.batch_size, "at least 1"),
            (self.learning_rate > 0, "learning_rate", self.learning_rate, "a positive number"),
            (0 <= self.warmup < 1, "warmup", self.warmup, "a share from 0 to below 1"),
            (self.weight_decay >= 0, "weight_decay", self.weight_decay, "a number from 0"),
            (self.clip > 0, "clip", self.clip, "a positive number"),
            (0 <= self.seed <= LARGEST_SEED, "seed", self.seed, f"a whole number from 0 to {LARGEST_SEED}"),
        ]
        for holds, knob, found, expected in rules:
            if not holds:
                raise InputError(f"recipe: {knob}", found=found, expected=expected)
        if self.loss == "bce" and self.output == "tanh":
            remedy = "Use loss mse with output tanh, or output sigmoid."
            raise InputError("recipe: loss bce reads pixels as probabilities", found="output tanh", remedy=remedy)

    @property
    def pixel_range(self) -> tuple[float, float]:
        """The values of black and white that the networks see."""
        return OUTPUTS[self.output]

    def changed(self) -> dict[str, Any]:
        """The knobs that differ from the defaults, in the order of the table."""
        pairs = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {field.name: value for field, value in pairs if value != field.default}

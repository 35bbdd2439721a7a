"""Hyperparameters of the flow prior."""

from dataclasses import dataclass

from .hyperparameters import MAX_SEED, check_hyperparameters

MAX_WIDTH = 1_000_000  # a typing error beyond it would take all memory or time


@dataclass(frozen=True)
class FlowRecipe:
    """What decides, together with the latents, what a flow is. Raises InputError for an unusable setting."""

    width: int = 256  # units of the hidden layers
    blocks: int = 3  # residual blocks of two layers each
    steps: int = 12_000  # of training, at most
    batch_size: int = 512  # latents in one step
    learning_rate: float = 1e-3  # AdamW's, at its peak; it rises and falls as in training an autoencoder
    warmup: float = 0.05  # share of all steps in which the rate rises
    weight_decay: float = 1e-4  # AdamW's, decoupled from the rate
    ema_decay: float = 0.999  # share of its past that the running mean of the weights keeps in one step
    patience: int = 8  # validations without an improvement after which training stops
    seed: int = 0  # of the initial weights, the order of the latents and all noise

    def __post_init__(self) -> None:
        whole = ("width", "blocks", "steps", "batch_size", "patience")
        rules = [
            *(
                (1 <= getattr(self, hyperparameter) <= MAX_WIDTH, hyperparameter, f"from 1 to {MAX_WIDTH}")
                for hyperparameter in whole
            ),
            (0 < self.learning_rate <= 1, "learning_rate", "a number above 0, to 1"),
            (0 <= self.warmup < 1, "warmup", "a share from 0 to below 1"),
            (0 <= self.weight_decay <= 1, "weight_decay", "a number from 0 to 1"),
            (0 <= self.ema_decay < 1, "ema_decay", "a share from 0 to below 1"),
            (0 <= self.seed <= MAX_SEED, "seed", f"a whole number from 0 to {MAX_SEED}"),
        ]
        check_hyperparameters("flow", self, rules)

"""The hyperparameters of each learned prior. For example, `train/flow_prior.py` trains the prior `flow`."""

from dataclasses import dataclass
from typing import ClassVar

from .hyperparameters import MAX_SEED, Hyperparameters, hyperparameter

MAX_COUNT = 1_000_000  # limit on width, batch size and number of steps; a larger number is probably a typo


class LearnedPriorRecipe(Hyperparameters):
    """Base class of the recipes of all learned priors. steps: the maximum number of training steps."""

    steps: int


@dataclass(frozen=True)
class FlowRecipe(LearnedPriorRecipe):
    """Hyperparameters of the flow prior. The hyperparameters and the training latents determine the trained flow."""

    stage: ClassVar[str] = "flow"

    width: int = hyperparameter(256, "Units of the hidden layers.", at_least=1, at_most=MAX_COUNT)
    blocks: int = hyperparameter(3, "Residual blocks, of two layers each.", at_least=1, at_most=MAX_COUNT)
    steps: int = hyperparameter(12_000, "Training steps at most.", at_least=1, at_most=MAX_COUNT)
    batch_size: int = hyperparameter(512, "Latents in one step.", at_least=1, at_most=MAX_COUNT)
    learning_rate: float = hyperparameter(1e-3, "Peak learning rate of AdamW.", above=0, at_most=1)
    warmup: float = hyperparameter(0.05, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1)
    weight_decay: float = hyperparameter(1e-4, "Decoupled weight decay of AdamW.", at_least=0, at_most=1)
    ema_decay: float = hyperparameter(0.999, "Decay of the weights' moving average, per step.", at_least=0, below=1)
    patience: int = hyperparameter(
        8, "Validations without an improvement before training stops.", at_least=1, at_most=MAX_COUNT
    )
    seed: int = hyperparameter(
        0, "Seed of the initial weights, the order of the latents and all noise.", at_least=0, at_most=MAX_SEED
    )


LEARNED_PRIORS: dict[str, type[LearnedPriorRecipe]] = {"flow": FlowRecipe}
DEFAULT_LEARNED_PRIOR = next(iter(LEARNED_PRIORS))

"""Hyperparameters of distillation, which teaches a small network to do what a flow does in many evaluations."""

from dataclasses import dataclass
from typing import ClassVar

from .hyperparameters import MAX_SEED, MAX_STEPS, Hyperparameters, hyperparameter

MAX_COUNT = 100_000_000  # limit on width, batch size and number of pairs; a larger number is probably a typo


@dataclass(frozen=True)
class DistillationRecipe(Hyperparameters):
    """Hyperparameters of distillation. The hyperparameters and the flow determine the distilled network."""

    stage: ClassVar[str] = "distillation"

    width: int = hyperparameter(192, "Units of the hidden layers.", at_least=1, at_most=MAX_COUNT)
    layers: int = hyperparameter(3, "Hidden layers.", at_least=1, at_most=1000)
    pairs: int = hyperparameter(
        300_000, "Pairs of noise and latent that the flow computes to learn from.", at_least=1, at_most=MAX_COUNT
    )
    evaluations: int = hyperparameter(
        16, "Evaluations of the flow for each of these latents.", at_least=1, at_most=MAX_STEPS
    )
    steps: int = hyperparameter(10_000, "Training steps.", at_least=1, at_most=MAX_STEPS)
    batch_size: int = hyperparameter(1024, "Pairs in one step.", at_least=1, at_most=MAX_COUNT)
    learning_rate: float = hyperparameter(2e-3, "Peak learning rate of AdamW.", above=0, at_most=1)
    warmup: float = hyperparameter(0.05, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1)
    weight_decay: float = hyperparameter(1e-4, "Decoupled weight decay of AdamW.", at_least=0, at_most=1)
    ema_decay: float = hyperparameter(0.998, "Decay of the weights' moving average, per step.", at_least=0, below=1)
    seed: int = hyperparameter(
        0, "Seed of the initial weights, the noise and the order of the pairs.", at_least=0, at_most=MAX_SEED
    )

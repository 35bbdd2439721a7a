"""Hyperparameters of refinement, which trains the flow and the decoder of a run further on their own samples."""

from dataclasses import dataclass
from typing import ClassVar

from .hyperparameters import MAX_SEED, MAX_STEPS, Hyperparameters, hyperparameter

MAX_CLUSTERS = 1000  # maximum number of clusters; finding more would take longer than the refinement
MAX_CLASSIFIERS = 1000  # maximum number of classifiers; the seed of classifier i is `seed` + i


@dataclass(frozen=True)
class RefinementRecipe(Hyperparameters):
    """Hyperparameters of refinement. The hyperparameters, the trained run and its flow determine the refined run."""

    stage: ClassVar[str] = "refinement"

    steps: int = hyperparameter(500, "Training steps.", at_least=1, at_most=MAX_STEPS)
    batch_size: int = hyperparameter(
        128, "Samples in one step, and as many real images.", at_least=1, at_most=MAX_STEPS
    )
    learning_rate: float = hyperparameter(1e-4, "Peak learning rate of Adam.", above=0, at_most=1)
    warmup: float = hyperparameter(0.05, "Fraction of all steps in which the learning rate rises.", at_least=0, below=1)
    moment_loss_weight: float = hyperparameter(
        100.0, "Weight of the moment gap between samples and real images.", at_least=0
    )
    flow_loss_weight: float = hyperparameter(
        100.0, "Weight of the flow's training loss, which keeps its latents like those of real images.", at_least=0
    )
    moment_ema_decay: float = hyperparameter(
        0.97, "Decay of the moment gaps' moving average, per step.", at_least=0, below=1
    )
    ema_decay: float = hyperparameter(0.998, "Decay of the weights' moving average, per step.", at_least=0, below=1)
    flow_steps: int = hyperparameter(
        8,
        "Evaluations of the flow for each latent, in training and later in the artifact.",
        at_least=1,
        at_most=MAX_STEPS,
    )
    classifiers: int = hyperparameter(
        3,
        "Classifiers whose features are compared; with only one, samples adapt to its errors.",
        at_least=1,
        at_most=MAX_CLASSIFIERS,
    )
    classifier_epochs: int = hyperparameter(4, "Training epochs of each classifier.", at_least=1, at_most=MAX_STEPS)
    clusters: int = hyperparameter(
        32,
        "Clusters of latents that stand for classes if images have no labels; fewer for few images.",
        at_least=1,
        at_most=MAX_CLUSTERS,
    )
    match_second_moments: bool = hyperparameter(
        True, "Whether shallow features match in mean square too, not in mean alone."
    )
    class_loss_weight: float = hyperparameter(
        0.0, "Weight of the classifiers' cross entropy; more gives clearer but less varied samples.", at_least=0
    )
    seed: int = hyperparameter(
        0,
        "Seed of the classifiers, the noise and the order of the images.",
        at_least=0,
        at_most=MAX_SEED - MAX_CLASSIFIERS,
    )

"""Hyperparameters of refinement."""

from dataclasses import dataclass

from .hyperparameters import MAX_SEED, check_hyperparameters


@dataclass(frozen=True)
class RefinementRecipe:
    """What decides, together with a run and its prior, what refinement makes of them. Raises InputError for an unusable
    setting.
    """

    steps: int = 500  # of training
    batch_size: int = 128  # latents drawn in one step, and as many of real images
    learning_rate: float = 1e-4  # Adam's, at its peak; it rises and falls as in training an autoencoder
    warmup: float = 0.05  # share of all steps in which the rate rises
    moment_loss_weight: float = 100.0  # of the mismatch of moments, beside the reconstruction error
    flow_loss_weight: float = (
        100.0  # of the flow's own error; without it the flow leaves the latents to please the classifier
    )
    moment_ema_decay: float = 0.97  # share of its past that the running mean of the moments keeps in one step
    ema_decay: float = 0.998  # share of its past that the running mean of the weights keeps in one step
    flow_steps: int = 8  # evaluations of the flow for a code, as many as are exported
    classifiers: int = 3  # whose features are compared; a single one is pleased too soon
    classifier_epochs: int = 4  # epochs of each of them
    match_second_moments: bool = True  # whether shallow features match in mean square too: in contrast as in mean
    class_loss_weight: float = (
        0.0  # weight, beside a depth, of the classifiers' doubt of labels; more of it costs variety
    )
    seed: int = 0  # of the classifiers, the latents drawn, the order of the images

    def __post_init__(self) -> None:
        rules = [
            (self.steps >= 1, "steps", "at least 1"),
            (self.batch_size >= 1, "batch_size", "at least 1"),
            (0 < self.learning_rate <= 1, "learning_rate", "a number above 0, to 1"),
            (0 <= self.warmup < 1, "warmup", "a share from 0 to below 1"),
            (self.moment_loss_weight >= 0, "moment_loss_weight", "a number from 0"),
            (self.flow_loss_weight >= 0, "flow_loss_weight", "a number from 0"),
            (0 <= self.moment_ema_decay < 1, "moment_ema_decay", "a share from 0 to below 1"),
            (0 <= self.ema_decay < 1, "ema_decay", "a share from 0 to below 1"),
            (self.flow_steps >= 1, "flow_steps", "at least 1"),
            (self.classifiers >= 1, "classifiers", "at least 1"),
            (self.classifier_epochs >= 1, "classifier_epochs", "at least 1"),
            (self.match_second_moments in (True, False), "match_second_moments", "true or false"),
            (self.class_loss_weight >= 0, "class_loss_weight", "a number from 0"),
            (0 <= self.seed < MAX_SEED, "seed", f"a whole number from 0 to {MAX_SEED - 1}"),
        ]
        check_hyperparameters("refinement", self, rules)

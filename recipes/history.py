"""The history of a run: what the training of an autoencoder measured in each epoch. It can be read without torch."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import InputError, NotFoundError
from ..runtime.records import from_json, read_json

METRICS = "metrics.jsonl"
# A latent dimension of a VAE is active if the variance of its posterior mean over the images exceeds this number.
# Source: Y. Burda et al., Importance Weighted Autoencoders, 2016, section 5.3.
MIN_ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch, which are also a line of `metrics.jsonl`. Losses are in the units of the recipe's loss.

    train_loss: the mean loss of the training images during the epoch; train_reconstruction and train_penalty are its
    two terms. validation_loss: the mean loss of the validation images after the epoch; reconstruction and penalty are
    its two terms. The penalty is the KL in nats for a VAE, otherwise half the squared norm of a latent, without its
    weight in the loss. kl_per_dimension: a VAE's KL in nats for each of the d latent dimensions, (d,), otherwise empty.
    variance_per_dimension: the variance over the validation images of each latent dimension, for a VAE of its posterior
    mean, (d,). active_units: how many of a VAE's variances are above MIN_ACTIVE_VARIANCE, otherwise None.
    """

    epoch: int
    train_loss: float
    train_reconstruction: float
    train_penalty: float
    validation_loss: float
    reconstruction: float
    penalty: float
    kl_per_dimension: tuple[float, ...]
    variance_per_dimension: tuple[float, ...]
    active_units: int | None
    learning_rate: float


def read_history(run: str | Path) -> tuple[Epoch, ...]:
    """Read the epochs of a run, oldest first. run: the run's folder.

    Raises NotFoundError when there is no run, InputError when its history is damaged or empty.
    """
    file = Path(run) / METRICS
    if not file.is_file():
        found = f"no {METRICS}" if Path(run).is_dir() else "no such folder"
        raise NotFoundError(str(run), found=found, expected="a training run", remedy="`aegen train` makes one.")
    lines = file.read_bytes().splitlines()
    epochs = tuple(
        from_json(Epoch, read_json(line, f"{file}, line {number}"), f"{file}, line {number}")
        for number, line in enumerate(lines, start=1)
    )
    if not epochs:
        raise InputError(str(file), found="no epoch", expected="at least one")
    return epochs

"""Figure: the losses of a training run by epoch, and how many latent dimensions a VAE uses."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from ..recipes.history import MIN_ACTIVE_VARIANCE, Epoch
from .style import COLOURS, FAINT, figure_style

SIZE, VAE_SIZE = (8.0, 3.4), (8.0, 6.0)  # in inches; a VAE has a second row of plots
TRAIN, VALIDATION = COLOURS[0], COLOURS[2]
MAX_BARS = 40  # maximum number of latent dimensions with a bar of their own
MIN_KL = 1e-3  # in nats; smaller KLs are shown as this value, because an axis may be logarithmic
LOG_RATIO = 20  # the axis is logarithmic if the largest KL exceeds the smallest by more than this factor


@dataclass(frozen=True)
class TrainingCurves:
    """The losses of a training run of E epochs.

    epochs: numbers of the epochs, int64 (E,). train_reconstruction, reconstruction, train_penalty, penalty: mean losses
    of training and of validation images, float64 (E,); a penalty is the KL in nats for a VAE, otherwise half the
    squared norm of a latent. best: the epoch with the lowest validation loss. kl_per_dimension: the KL of each latent
    dimension of a VAE, float64 (E, d), otherwise (E, 0). active: whether each dimension is active in the epoch `best`,
    bool (d,), or (0,). title: one line above the plots.
    """

    epochs: np.ndarray
    train_reconstruction: np.ndarray
    reconstruction: np.ndarray
    train_penalty: np.ndarray
    penalty: np.ndarray
    best: int
    kl_per_dimension: np.ndarray
    active: np.ndarray
    title: str = ""

    @property
    def is_vae(self) -> bool:
        """Whether the run trains a VAE, whose penalty is the KL."""
        return bool(self.kl_per_dimension.shape[1])


def training_curves(history: Sequence[Epoch], *, title: str = "") -> TrainingCurves:
    """Compute the data of the figure from the epochs of a run. There must be at least one epoch.

    A latent dimension is active if the variance of its posterior mean over the validation images exceeds
    MIN_ACTIVE_VARIANCE.
    """
    best = min(history, key=lambda epoch: epoch.validation_loss)
    kl = np.array([epoch.kl_per_dimension for epoch in history], np.float64).reshape(len(history), -1)
    active = np.array(best.variance_per_dimension, np.float64) > MIN_ACTIVE_VARIANCE
    names = ("train_reconstruction", "reconstruction", "train_penalty", "penalty")
    return TrainingCurves(
        epochs=np.array([epoch.epoch for epoch in history], np.int64),
        **{name: np.array([getattr(epoch, name) for epoch in history], np.float64) for name in names},
        best=best.epoch,
        kl_per_dimension=kl,
        active=active if kl.shape[1] else np.zeros(0, bool),
        title=title,
    )


def json_object(data: TrainingCurves) -> dict[str, Any]:
    """The data of the figure as values that can be written as JSON."""
    values = ((field.name, getattr(data, field.name)) for field in dataclasses.fields(data))
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values}


def figure(data: TrainingCurves) -> Figure:
    """Show reconstruction error and penalty by epoch; for a VAE also the KL of each latent dimension.

    Active dimensions have another colour than the others. A dotted line marks the epoch with the lowest validation
    loss, whose weights `aegen export` takes.
    """
    with figure_style():
        result = Figure(figsize=VAE_SIZE if data.is_vae else SIZE, layout="constrained")
        rows = result.subplots(2 if data.is_vae else 1, 2, squeeze=False)
        result.suptitle(data.title, x=0.01, ha="left", size=11, weight="bold")
        penalty = "KL, nats" if data.is_vae else "penalty: half the squared norm of a latent"
        _losses(rows[0, 0], data, "reconstruction error of an image", data.train_reconstruction, data.reconstruction)
        _losses(rows[0, 1], data, penalty, data.train_penalty, data.penalty)
        handles, names = rows[0, 0].get_legend_handles_labels()
        result.legend(handles, names, loc="outside upper right", ncols=len(names))
        if data.is_vae:
            _kl_curves(rows[1, 0], data)
            _kl_bars(rows[1, 1], data)
    return result


def _losses(axes: Axes, data: TrainingCurves, title: str, train: np.ndarray, validation: np.ndarray) -> None:
    """Draw the mean loss of training images and of validation images by epoch, as two curves."""
    marker = "o" if len(data.epochs) < 3 else ""  # markers, because a line of one epoch is invisible
    axes.set_title(title, size=10, weight="normal")
    axes.plot(data.epochs, train, color=TRAIN, marker=marker, label="training images")
    axes.plot(data.epochs, validation, color=VALIDATION, marker=marker, linestyle="--", label="validation images")
    _epoch_axis(axes, data)


def _kl_curves(axes: Axes, data: TrainingCurves) -> None:
    """Draw the KL of each latent dimension by epoch, as one curve for each dimension."""
    axes.set_title("KL of each latent dimension, nats", size=10, weight="normal")
    for dimension in np.argsort(data.active, kind="stable"):  # active ones last, so that they are on top
        colour, width = (TRAIN, 1.2) if data.active[dimension] else (FAINT, 0.8)
        values = np.maximum(data.kl_per_dimension[:, dimension], MIN_KL)
        axes.plot(data.epochs, values, color=colour, linewidth=width, alpha=0.8)
    low, high = max(float(data.kl_per_dimension.min()), MIN_KL), float(data.kl_per_dimension.max())
    is_wide = high > LOG_RATIO * low
    if is_wide:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=low if is_wide else 0)
    _epoch_axis(axes, data)


def _kl_bars(axes: Axes, data: TrainingCurves) -> None:
    """Draw the KL of each latent dimension in the best epoch as bars, the largest first."""
    kl = data.kl_per_dimension[data.epochs == data.best][0]
    order = np.argsort(-kl, kind="stable")[:MAX_BARS]
    active, d = data.active[order], len(kl)
    axes.set_title(f"epoch {data.best}: {data.active.sum()} of {d} are active", size=10, weight="normal")
    positions = np.arange(len(order))
    for rows, colour, name in ((active, TRAIN, "active"), (~active, "#bbbbbb", "not active")):
        if rows.any():
            axes.bar(positions[rows], kl[order][rows], color=colour, label=name)
    size = 8 if len(order) <= 20 else 6
    axes.set_xticks(positions, [str(dimension) for dimension in order], size=size, rotation=90 if d > 10 else 0)
    axes.set(xlabel="latent dimension", ylabel="KL, nats")
    axes.set_ylim(top=1.2 * float(kl.max()) or 1)  # leave room for the legend
    axes.legend(loc="upper right", ncols=2)


def _epoch_axis(axes: Axes, data: TrainingCurves) -> None:
    """Make the horizontal axis show epochs, with a line at the best epoch."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.axvline(data.best, color=FAINT, linewidth=1, linestyle=":")
    axes.grid(axis="y")

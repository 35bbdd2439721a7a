"""The user's options for exporting a checkpoint as an artifact."""

from dataclasses import dataclass
from pathlib import Path

from ..files.sources import read_text
from ..runtime.closed_form import PRIORS
from ..runtime.errors import InputError
from ..runtime.manifest import FP16, FP32, INT8, MAX_TEMPERATURE
from ..train.networks import ARCHITECTURES
from ..train.priors import LearnedPrior

PRECISIONS = (FP32, FP16, INT8)


@dataclass(frozen=True)
class ExportOptions:
    """The user's options for exporting a checkpoint as an artifact.

    name: the artifact's name; None takes the name of its folder. licence: the licence of the data, if it differs from
    what aegen knows. prior: the prior that samples come from by default; None chooses the learned prior of a refined
    run, else the prior with the highest likelihood of held-out latents. temperature: the default temperature for
    sampling. components: number of components of the Gaussian mixture; None chooses the one with the highest likelihood
    of held-out latents. evaluations: how often a learned prior evaluates its network for one latent; None means the
    number that the run was refined with, or 8. precision: how weights are stored, one of PRECISIONS. With fp16, latents
    are computed with the rounded weights; with int8, they are computed with the float32 weights, and a learned prior
    that evaluates its network more than once is stored as fp16. notes: a Markdown file whose text is appended to the
    model card. overwrite: whether an existing artifact may be replaced. threads: number of threads with which the
    finished artifact is measured; None takes as many as this process may use.
    """

    name: str | None = None
    licence: str | None = None
    prior: str | None = None
    temperature: float = 1.0
    components: int | None = None
    evaluations: int | None = None
    precision: str = FP32
    notes: Path | None = None
    overwrite: bool = False
    threads: int | None = None

    def check(self, network: str | None, learned: LearnedPrior | None) -> None:
        """Raise InputError for an option with a bad value, or one that does not fit the network or the learned prior.

        network: the architecture, a name in ARCHITECTURES, or None for networks that aegen did not train. learned: the
        run's learned prior, or None.
        """
        known = (*PRIORS, learned.name) if learned else tuple(PRIORS)
        if self.prior is not None and self.prior not in known:
            remedy = "" if learned else "`aegen train-prior` makes a learned one."
            raise InputError("prior", found=repr(self.prior), expected=f"one of {', '.join(known)}", remedy=remedy)
        if self.evaluations is not None and learned is None:
            raise InputError("evaluations", found="no learned prior", expected="a run with one")
        if self.precision not in PRECISIONS:
            raise InputError("precision", found=repr(self.precision), expected=f"one of {', '.join(PRECISIONS)}")
        if self.precision == INT8 and (network is None or not ARCHITECTURES[network].int8):
            found = "a network that aegen did not train" if network is None else f"network {network}"
            allowed = " or ".join(name for name, architecture in ARCHITECTURES.items() if architecture.int8)
            remedy = "Choose fp16: in 8 bits convolutions would be slower."
            raise InputError("precision int8", found=found, expected=f"network {allowed}", remedy=remedy)
        if not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise InputError("temperature", found=self.temperature, expected=f"a number from 0 to {MAX_TEMPERATURE:g}")

    def notes_text(self) -> str:
        """The text of the file `notes`, or "" without one. Raises NotFoundError or InputError if it cannot be read."""
        return "" if self.notes is None else read_text(self.notes)

    def recorded(self, prior: str, evaluations: int | None) -> dict[str, str]:
        """The command-line options that repeat this export: their values, by name of the option.

        prior: the default prior that was chosen. evaluations: how often the learned prior evaluates its network for one
        latent, or None without a learned prior.
        """
        options: dict[str, object] = {
            "--prior": prior,
            "--temperature": f"{self.temperature:g}",
            "--components": self.components,
            "--evaluations": evaluations,
            "--precision": None if self.precision == FP32 else self.precision,
            "--notes": None if self.notes is None else self.notes.name,
            "--licence": self.licence,
        }
        return {option: str(value) for option, value in options.items() if value is not None}

"""The choices of an export."""

from dataclasses import dataclass
from pathlib import Path

from ..files.sources import read_text
from ..runtime.closed_form import PRIORS
from ..runtime.errors import InputError
from ..runtime.manifest import FP16, FP32, INT8, MAX_TEMPERATURE
from ..train.priors import LearnedPrior

PRECISIONS = (FP32, FP16, INT8)


@dataclass(frozen=True)
class ExportOptions:
    """What an artifact is exported with.

    name: of the artifact, by default that of its folder. licence: of the data, if aegen does not know it.
    prior, temperature: the defaults of sampling; without a prior the one that makes held-out latents likeliest, and of
    a refined run the learned one. components: of the Gaussian mixture, by default the likeliest number.
    flow_steps: evaluations of a learned prior for one latent, by default as many as the run was refined for.
    precision: of the stored weights, one of PRECISIONS. With fp16 everything is made with the rounded weights; with
    int8 with the trained ones, and a learned prior is stored as fp16. notes: a Markdown file that ends the model card.
    overwrite: whether an existing artifact may be replaced.
    """

    name: str | None = None
    licence: str | None = None
    prior: str | None = None
    temperature: float = 1.0
    components: int | None = None
    flow_steps: int | None = None
    precision: str = FP32
    notes: Path | None = None
    overwrite: bool = False

    def check(self, network: str, learned: LearnedPrior | None) -> None:
        """Raise InputError for choices that this kind of network, or this learned prior, does not allow."""
        known = (*PRIORS, learned.name) if learned else tuple(PRIORS)
        if self.prior is not None and self.prior not in known:
            remedy = "" if learned else "`aegen train-prior` makes a learned one."
            raise InputError("prior", found=repr(self.prior), expected=f"one of {', '.join(known)}", remedy=remedy)
        if self.flow_steps is not None and learned is None:
            raise InputError("flow_steps", found="no learned prior", expected="a run with one")
        if self.precision not in PRECISIONS:
            raise InputError("precision", found=repr(self.precision), expected=f"one of {', '.join(PRECISIONS)}")
        if self.precision == INT8 and network != "mlp":
            remedy = "Choose fp16: in 8 bits convolutions would be slower."
            raise InputError("precision int8", found=f"network {network}", expected="network mlp", remedy=remedy)
        if not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise InputError("temperature", found=self.temperature, expected=f"a number from 0 to {MAX_TEMPERATURE:g}")

    def notes_text(self) -> str:
        """The text of `notes`. Raises NotFoundError or InputError if it cannot be read."""
        return "" if self.notes is None else read_text(self.notes)

    def recorded(self, prior: str, evaluations: int | None) -> dict[str, str]:
        """The command-line options of the same export.

        prior: the default prior that was chosen. evaluations: of the learned prior, if there is one.
        """
        options: dict[str, object] = {
            "--prior": prior,
            "--temperature": f"{self.temperature:g}",
            "--components": self.components,
            "--flow-steps": evaluations,
            "--precision": None if self.precision == FP32 else self.precision,
            "--notes": None if self.notes is None else self.notes.name,
            "--licence": self.licence,
        }
        return {option: str(value) for option, value in options.items() if value is not None}

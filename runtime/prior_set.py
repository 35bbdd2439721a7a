"""The priors of one artifact: made of its statistics, which are read when first needed, and of its learned graph."""

from collections.abc import Mapping

import numpy as np

from .arguments import Label, class_indices
from .arrays import read_declared
from .artifact import LATENTS, Artifact
from .errors import ArtifactError, ExecutionError, InputError, shown
from .forks import no_fork
from .priors import FLOW, PRIORS, BaseNoise, ClassConditional, Flow, Prior, stored_prior
from .session import Network
from .statistics import check_statistics


class PriorSet:
    """The priors that an artifact offers, each of all images, of one class, or of the classes of n images.

    flow: the graph of the learned prior, which is opened when it is first run.
    """

    def __init__(self, artifact: Artifact, flow: Network) -> None:
        self._artifact, self._flow = artifact, flow
        self._where = str(artifact.path / LATENTS)
        self._statistics: Mapping[str, np.ndarray] | None = None

    def classes(self, label: Label | None, n: int) -> int | np.ndarray | None:
        """Class indices of a label for all, or of one for each of n images. Raises InputError or ShapeError."""
        return class_indices(label, n, self._artifact.manifest.labels, self._artifact.manifest.class_names)

    def class_index(self, label: int | str | None) -> int | None:
        """The class index of a label, for calls in which all images have the same. Raises InputError."""
        index = self.classes(label, 1)
        if isinstance(index, np.ndarray):
            raise InputError("label", found=shown(label), expected="one label")
        return index

    def prior(self, name: str | None, classes: int | np.ndarray | None = None, *, soon: bool = False) -> Prior:
        """A prior by its name, None being the default. classes: an index, or those of n images.

        soon: begin to open the graph that it may have. Raises InputError for a prior or a class that is not offered,
        ArtifactError when what it is made of is damaged.
        """
        manifest = self._artifact.manifest
        chosen = manifest.default_prior if name is None else name
        if not isinstance(chosen, str) or chosen not in manifest.priors:
            raise InputError("prior", found=shown(chosen), expected=f"one of {', '.join(manifest.priors)}")
        if chosen == FLOW:
            return self.learned(classes, soon=soon)
        if isinstance(classes, np.ndarray):
            return ClassConditional({int(one): self._stored(chosen, int(one)) for one in np.unique(classes)})
        return self._stored(chosen, classes)

    def learned(self, classes: int | np.ndarray | None = None, *, soon: bool = False) -> Flow:
        """The flow, of all images or of one class; of n images it takes the classes with their noise."""
        if soon:  # statistics are read meanwhile
            self._flow.open_soon()
        if isinstance(classes, np.ndarray):
            shares = np.empty(0)
        elif classes is None:
            shares = self._read().get("class_fractions", np.empty(0))
        else:
            shares = np.zeros(len(self._artifact.manifest.labels))
            shares[classes] = 1
        return Flow(self._flow, self._artifact.manifest.latent_dim, shares)

    def latents(self, prior: Prior, numbers: BaseNoise, temperature: float) -> np.ndarray:
        """The latents that a prior makes of random numbers, float32 (n, d). Raises ExecutionError when not finite."""
        with np.errstate(all="ignore"):  # of statistics that no training gives; told here
            latents = prior.latents(numbers, temperature)
        if not np.isfinite(latents).all():
            raise ExecutionError(self._where, found="latents that are not finite", expected="those of real images")
        return latents

    def _stored(self, name: str, index: int | None) -> Prior:
        if name not in PRIORS:
            found = "one that this version cannot draw"
            raise ArtifactError(f"prior {name!r}", found=found, expected=", ".join((*PRIORS, FLOW)))
        try:
            return stored_prior(name, self._read(), index)
        except KeyError as error:
            where, found = f"{self._where}: prior {name!r}", f"no {error.args[0]}"
            raise ArtifactError(where, found=found, expected="all that it is made of") from error

    def _read(self) -> Mapping[str, np.ndarray]:
        if self._statistics is None:
            manifest = self._artifact.manifest
            with no_fork():  # modules that read archives are imported when the first one is read
                arrays = read_declared(self._artifact.read(LATENTS), manifest.latents, self._where)
            self._statistics = check_statistics(arrays, manifest.latent_dim, manifest.labels, self._where)
        return self._statistics

"""The priors of one artifact: closed-form priors made of its statistics, and learned priors that are graphs."""

from collections.abc import Mapping

import numpy as np

from .arguments import Label, class_indices
from .arrays import read_declared
from .artifact import LATENTS, Artifact
from .closed_form import PRIORS, STATISTICS, stored_prior
from .distributions import BaseNoise, ClassConditional, Prior
from .errors import ArtifactError, ExecutionError, InputError, shown
from .learned import ClassIndices, GraphPrior, always, by_fractions, by_position, noise_dim, takes_classes
from .session import Network
from .statistics import check_statistics

Classes = (
    int | np.ndarray | None
)  # one class index for all images, int64 (n,) with one for each, or None for all classes


class PriorSet:
    """The priors that an artifact offers, each of all images, of one class, or of images that have their own classes.

    networks: the graphs of the learned priors, by file name; each is opened when it is first run.
    """

    def __init__(self, artifact: Artifact, networks: Mapping[str, Network]) -> None:
        self._artifact, self._manifest, self._networks = artifact, artifact.manifest, networks
        self._where = str(artifact.path / LATENTS)
        self._statistics: Mapping[str, np.ndarray] | None = None

    def name(self, prior: str | None) -> str:
        """The name of a prior; None is the default one. Raises InputError for a prior that is not offered."""
        name = self._manifest.default_prior if prior is None else prior
        if not isinstance(name, str) or name not in self._manifest.priors:
            raise InputError("prior", found=shown(name), expected=f"one of {', '.join(self._manifest.priors)}")
        return name

    def classes(self, label: Label | None, n: int) -> Classes:
        """Class indices of a label: one for all images, or int64 (n,). Raises InputError or ShapeError."""
        return class_indices(label, n, self._manifest.labels, self._manifest.class_names)

    def class_index(self, label: int | str | None) -> int | None:
        """The class index of one label that all images have. Raises InputError."""
        index = self.classes(label, 1)
        if isinstance(index, np.ndarray):
            raise InputError("label", found=shown(label), expected="one label")
        return index

    def networks(self, name: str) -> tuple[Network, ...]:
        """The networks that a prior runs: its graph if it is learned, else none."""
        learned = self._manifest.learned_priors.get(name)
        return () if learned is None else (self._networks[learned.graph],)

    def macs(self, name: str) -> int:
        """MACs of the prior's graph for one latent; 0 for a closed-form prior."""
        learned = self._manifest.learned_priors.get(name)
        return 0 if learned is None else self._manifest.macs.get(learned.graph, 0)

    def prior(self, name: str, classes: Classes = None, first: int = 0) -> Prior:
        """A prior by its name.

        classes: of the images; an array (n,) is of the places first to first + n. Raises ArtifactError when the prior
        cannot be made of the artifact.
        """
        if name in self._manifest.learned_priors:
            return self.learned(name, classes, first)
        if isinstance(classes, np.ndarray):
            priors = {int(index): self._stored(name, int(index)) for index in np.unique(classes)}
            return ClassConditional(priors, classes, first)
        return self._stored(name, classes)

    def learned(self, name: str, classes: Classes = None, first: int = 0) -> GraphPrior:
        """A learned prior by its name; arguments and errors are those of `prior`."""
        file = self._manifest.learned_priors[name].graph
        graph = self._manifest.graphs[file]
        size = noise_dim(graph, str(self._artifact.path / file))
        chosen = self._class_indices(classes, first) if takes_classes(graph) else None
        return GraphPrior(name, self._networks[file], size, self._manifest.latent_dim, chosen)

    def learned_name(self) -> str:
        """The default prior if it is a learned one, else the first learned one. Raises InputError if there is none."""
        manifest = self._manifest
        names = [manifest.default_prior, *manifest.priors]
        learned = next((name for name in names if name in manifest.learned_priors), None)
        if learned is None:
            found, remedy = f"priors {', '.join(manifest.priors)}", "`aegen train-prior` trains one for a run."
            raise InputError(f"latent walk of {manifest.name}", found=found, expected="a learned prior", remedy=remedy)
        return learned

    def latents(self, prior: Prior, noise: BaseNoise, temperature: float) -> np.ndarray:
        """The latents that a prior makes of noise, float32 (n, d). Raises ExecutionError when they are not finite."""
        if isinstance(prior, GraphPrior):
            return prior.latents(noise, temperature)  # its network checks its outputs
        with np.errstate(all="ignore"):  # overflow, from statistics that no training gives, is an error below
            latents = prior.latents(noise, temperature)
        if not np.isfinite(latents).all():
            raise ExecutionError(self._where, found="latents that are not finite", expected="those of real images")
        return latents

    def _class_indices(self, classes: Classes, first: int) -> ClassIndices:
        """How a learned prior chooses the class of each place. classes, first: those of `prior`."""
        if isinstance(classes, np.ndarray):
            return by_position(classes, first)
        if classes is not None:
            return always(classes)
        statistics = self._read()
        if "class_fractions" not in statistics:
            raise ArtifactError(self._where, found="no class_fractions", expected="those of a prior with classes")
        return by_fractions(statistics["class_fractions"])

    def _stored(self, name: str, index: int | None) -> Prior:
        """A closed-form prior of all images, or of the class with this index."""
        if name not in PRIORS:
            found = "one that this version does not know"
            raise ArtifactError(f"prior {name!r}", found=found, expected=f"one of {', '.join(PRIORS)}")
        try:
            return stored_prior(name, self._read(), index)
        except KeyError as error:
            where, found = f"{self._where}: prior {name!r}", f"no {error.args[0]}"
            raise ArtifactError(where, found=found, expected="all that it is made of") from error

    def _read(self) -> Mapping[str, np.ndarray]:
        """The arrays of `latents.npz` by name, read and checked on first use."""
        if self._statistics is None:
            manifest = self._manifest
            arrays = read_declared(self._artifact.read(LATENTS), manifest.latents, self._where)
            check_statistics(arrays, STATISTICS, manifest.latent_dim, manifest.labels, self._where)
            self._statistics = arrays
        return self._statistics

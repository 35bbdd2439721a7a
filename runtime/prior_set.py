"""The priors of one artifact: closed-form priors made from its statistics, and learned priors stored as graphs."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from .arguments import Label, class_indices
from .arrays import read_declared
from .artifact import LATENTS, Artifact, noise_dim
from .closed_form import CLASS_FRACTIONS, LABELS, PRIORS, STATISTICS, stored_prior
from .distributions import BaseNoise, ClassConditional, Gaussian, Prior
from .errors import ArtifactError, ExecutionError, InputError, shown
from .learned import ClassIndices, GraphPrior, always, by_fractions, by_position
from .session import Network
from .statistics import Statistic, check_statistics

# The classes to sample from: one class index for all samples, class indices int64 (n,) of n samples, or None for all.
Classes = int | np.ndarray | None


class PriorSet:
    """The priors of an artifact. Each prior samples from all classes, from one, or from a given class for each sample.

    networks: the networks of the learned priors, by file name; each is opened when it is first run.
    """

    def __init__(self, artifact: Artifact, networks: Mapping[str, Network]) -> None:
        self._artifact, self._manifest, self._networks = artifact, artifact.manifest, networks
        self._where = str(artifact.path / LATENTS)
        self._statistics: dict[str, np.ndarray] = {}  # the arrays of `latents.npz` that were read, by name
        self._all_classes: dict[str, GraphPrior] = {}  # cache: learned priors that sample all classes, by name

    def name(self, prior: str | None) -> str:
        """Check and return a prior's name; None means the default prior's. Raises InputError for an unknown name."""
        name = self._manifest.default_prior if prior is None else prior
        if not isinstance(name, str) or name not in self._manifest.priors:
            raise InputError("prior", found=shown(name), expected=f"one of {', '.join(self._manifest.priors)}")
        return name

    def classes(self, label: Label | None, n: int) -> Classes:
        """Convert one label to its class index, or n labels to class indices int64 (n,). None is returned as it is.

        Raises InputError for an unknown label, and ShapeError if there are several labels, but not n.
        """
        return class_indices(label, n, self._manifest.labels, self._manifest.class_names)

    def class_index(self, label: int | str | None) -> int | None:
        """Convert one label to its class index, or None to None. Raises InputError or ShapeError for anything else."""
        index = self.classes(label, 1)
        if isinstance(index, np.ndarray):
            raise InputError("label", found=shown(label), expected="one label")
        return index

    def networks(self, name: str) -> tuple[Network, ...]:
        """The networks that the prior `name` runs: one if it is a learned prior, none if it is closed-form."""
        learned = self._manifest.learned_priors.get(name)
        return () if learned is None else (self._networks[learned.graph],)

    def macs(self, name: str) -> int:
        """Multiply-accumulates of the prior's graph for one latent; 0 for a closed-form prior."""
        learned = self._manifest.learned_priors.get(name)
        return 0 if learned is None else self._manifest.macs.get(learned.graph, 0)

    def prior(self, name: str, classes: Classes = None, first: int = 0) -> Prior:
        """The prior with this name, for sampling from the given classes.

        classes: one class index for all samples; or the class indices of n samples, int64 (n,); or None for all
        classes. first: the index in a seed's sequence of the first of the n samples. Raises ArtifactError if the
        artifact lacks an array that the prior needs, InputError if a class is requested but the prior has no classes.
        """
        if name in self._manifest.learned_priors:
            return self.learned(name, classes, first)
        if isinstance(classes, np.ndarray):
            priors = {int(index): self._stored(name, int(index)) for index in np.unique(classes)}
            return ClassConditional(priors, classes, first)
        return self._stored(name, classes)

    def learned(self, name: str, classes: Classes = None, first: int = 0) -> GraphPrior:
        """The learned prior with this name. Parameters and errors are those of `prior`; classes may be int64 (n,)."""
        if classes is None and name in self._all_classes:
            return self._all_classes[name]
        file = self._manifest.learned_priors[name].graph
        size = noise_dim(self._manifest.graphs[file], str(self._artifact.path / file))
        chosen = self._class_indices(classes, first) if self._manifest.labels else None
        prior = GraphPrior(name, self._networks[file], size, self._manifest.latent_dim, chosen)
        if classes is None:
            self._all_classes[name] = prior
        return prior

    def gaussian(self) -> Gaussian:
        """The Gaussian that was fitted to the latents of all training images.

        Raises ArtifactError if the artifact lacks its mean or its covariance factor.
        """
        return cast(Gaussian, self._stored("gaussian", None))

    def learned_name(self) -> str:
        """The name of the learned prior to use: the default prior if it is learned, else the first learned prior.

        Raises InputError if the artifact has no learned prior.
        """
        manifest = self._manifest
        names = [manifest.default_prior, *manifest.priors]
        learned = next((name for name in names if name in manifest.learned_priors), None)
        if learned is None:
            found, remedy = f"priors {', '.join(manifest.priors)}", "`aegen train-prior` trains one for a run."
            raise InputError(f"latent walk of {manifest.name}", found=found, expected="a learned prior", remedy=remedy)
        return learned

    def latents(self, prior: Prior, noise: BaseNoise, temperature: float) -> np.ndarray:
        """The latents that a prior makes from noise, float32 (n, d). Raises ExecutionError unless they are finite."""
        if isinstance(prior, GraphPrior):
            return prior.latents(noise, temperature)  # the network checks that its outputs are finite
        with np.errstate(all="ignore"):  # no numpy warning: after an overflow, an ExecutionError is raised below
            latents = prior.latents(noise, temperature)
        if not np.isfinite(latents).all():
            raise ExecutionError(self._where, found="latents that are not finite", expected="those of real images")
        return latents

    def _class_indices(self, classes: Classes, first: int) -> ClassIndices:
        """The function that chooses the class of each sample for a learned prior.

        classes, first: as for `prior`; classes is one class index, class indices int64 (n,), or None.
        """
        if isinstance(classes, np.ndarray):
            return by_position(classes, first)
        if classes is not None:
            return always(classes)
        statistics = self._read([CLASS_FRACTIONS])
        if CLASS_FRACTIONS.name not in statistics:
            raise ArtifactError(self._where, found="no class_fractions", expected="those of a prior with classes")
        return by_fractions(statistics[CLASS_FRACTIONS.name])

    def _stored(self, name: str, index: int | None) -> Prior:
        """The closed-form prior `name` of the class with this index, or of all images if the index is None."""
        if name not in PRIORS:
            found = "one that this version does not know"
            raise ArtifactError(f"prior {name!r}", found=found, expected=f"one of {', '.join(PRIORS)}")
        try:
            return stored_prior(name, self._read([LABELS, *PRIORS[name].arrays]), index)
        except KeyError as error:
            where, found = f"{self._where}: prior {name!r}", f"no {error.args[0]}"
            raise ArtifactError(where, found=found, expected="all that it is made of") from error

    def check_statistics(self) -> None:
        """Read and check every array of `latents.npz`. Raises ArtifactError if one of them is damaged."""
        manifest = self._manifest
        arrays = read_declared(self._artifact.read(LATENTS), manifest.latents, self._where)
        check_statistics(arrays, STATISTICS, manifest.latent_dim, manifest.labels, self._where)
        self._statistics = arrays

    def _read(self, statistics: Sequence[Statistic]) -> Mapping[str, np.ndarray]:
        """The arrays of `latents.npz` that were read so far, by name, after the given ones were read and checked.

        statistics: descriptions of arrays; arrays that the artifact does not have are left out.
        """
        manifest = self._manifest
        declared = {tensor.name for tensor in manifest.latents}
        missing = {statistic.name for statistic in statistics} & declared - self._statistics.keys()
        if missing:
            arrays = read_declared(self._artifact.read(LATENTS), manifest.latents, self._where, missing)
            arrays = {**self._statistics, **arrays}
            check_statistics(arrays, statistics, manifest.latent_dim, manifest.labels, self._where)
            self._statistics = arrays
        return self._statistics

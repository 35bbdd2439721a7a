"""Moment matching: train prior and decoder so that samples and real images have equal moments of classifier features.

A moment gap is a moment (mean or second moment) of the samples' features minus the same moment of the real images.
Source: C. dos Santos et al., Learning Implicit Generative Models by Matching Perceptual Features, 2019, equation 5.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ..recipes.refinement import RefinementRecipe
from ..runtime.errors import ExecutionError
from .archives import RandomState, State, Stateful
from .ema import ema_of
from .feature_moments import MomentTarget
from .loop import Training, run
from .objectives import Objective
from .prior_network import RefinablePrior
from .updates import Updates

INTERVAL = 250  # training steps between reports
MAX_DECODER_GRADIENT, MAX_PRIOR_GRADIENT = 100.0, 1.0  # maximum norms of gradients; larger gradients are scaled down
BETAS = (0.5, 0.999)  # decay rates of Adam's two moving averages


@dataclass(frozen=True)
class Progress:
    """The losses of a refinement at a training step.

    moment_gap: squared norm of the moving averages of all moment gaps, summed over a classifier's depths and averaged
    over classifiers; it has no unit, because features are standardised. reconstruction_error: reconstruction error of
    training images, in the units of the recipe's loss. flow_loss: the loss with which the prior was trained before its
    refinement. reconstruction_error and flow_loss are means over the steps since the last report.
    """

    step: int
    moment_gap: float
    reconstruction_error: float
    flow_loss: float


@dataclass(frozen=True)
class RealImages:
    """The n training images used in a refinement, with their latents, on the device of the training.

    latents: float32 (n, d). class_indices: int64 (n,). images: a function that takes indices of images, int64 (m,), and
    returns the images at these indices, float32 (m, C, H, W) in the recipe's pixel range.
    """

    latents: Tensor
    class_indices: Tensor
    images: Callable[[Tensor], Tensor]


def match_moments(
    objective: Objective,
    prior: RefinablePrior,
    recipe: RefinementRecipe,
    real: RealImages,
    targets: Sequence[MomentTarget],
    *,
    resume: State | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    keep: Callable[[State], None] = lambda state: None,
) -> None:
    """Train a prior and the decoder of an objective's network in place. Encoder and batch-norm statistics stay fixed.

    targets: one or several classifiers, each with the moments to match. report: called every INTERVAL steps and
    after the last step. keep: called at the same steps with the whole state of the training, which the caller may save.
    resume: a state that `keep` received, to continue from. On one machine with the same number of threads, the same
    arguments give the same weights, resumed or not.
    Raises InputError when `resume` is from another recipe, ExecutionError when a loss is not finite.
    """
    matching = MomentMatching(objective, prior, recipe, real, targets)
    run(matching, resume=resume, keep=lambda state, progress: keep(state), report=report)
    matching.sampler.load_state_dict(matching.ema.module.state_dict())


class MomentMatching(Training[Progress]):
    """The training of prior and decoder by moment matching, with the EMA of their weights and of the moment gaps."""

    def __init__(
        self,
        objective: Objective,
        prior: RefinablePrior,
        recipe: RefinementRecipe,
        real: RealImages,
        targets: Sequence[MomentTarget],
    ) -> None:
        self.title, self.interval = "refinement", INTERVAL
        self.objective, self.prior, self.recipe, self.real, self.targets = objective, prior, recipe, real, targets
        self.network = objective.network.eval()
        self.sampler = nn.ModuleDict({"prior": prior, "decoder": self.network.decoder})
        self.ema = ema_of(self.sampler, recipe.ema_decay)
        self.gap_ema = GapEMA(recipe.moment_ema_decay)
        self.random = Generator(real.latents.device).manual_seed(recipe.seed)
        self.normalised = prior.normalise(real.latents)
        trained = [*prior.trained_parameters(), *self.network.decoder.parameters()]
        optimiser = torch.optim.Adam(trained, lr=recipe.learning_rate, betas=BETAS, fused=True)
        self.updates = Updates(optimiser, recipe.warmup, recipe.steps)
        self._losses: list[Tensor] = []  # for each step since the last report: [reconstruction error, flow loss]

    def update(self) -> None:
        """Do one step of Adam on the losses of a batch of samples and a batch of real images."""
        recipe, size = self.recipe, (self.recipe.batch_size,)
        device, n = self.random.device, len(self.real.latents)
        rows = torch.randint(n, size, generator=self.random, device=device)
        class_rows = torch.randint(n, size, generator=self.random, device=device)
        noise = torch.randn((*size, self.prior.latent_dim), generator=self.random, device=device)
        class_indices = self.real.class_indices[class_rows]

        sampled = self.prior.sample(noise, class_indices, recipe.flow_steps)
        sample_logits, logits = self.network.decoder(torch.cat([sampled, self.real.latents[rows]])).chunk(2)
        samples = self._unit(self.network.activation(sample_logits))
        gaps = [gap for target in self.targets for gap in target.gaps(samples, class_indices)]
        moment_loss = self.gap_ema.surrogate_loss(gaps)
        # The reconstruction error and the flow loss keep decoder and prior close to their state before the refinement.
        reconstruction_error = self.objective.reconstruction_error(logits, self.real.images(rows))
        flow_loss = self.prior.training_loss(self.normalised[rows], self.real.class_indices[rows], self.random)
        loss = (
            recipe.moment_loss_weight / len(self.targets) * moment_loss
            + reconstruction_error
            + recipe.flow_loss_weight * flow_loss
        )
        self.updates.apply(
            loss,
            (self.network.decoder.parameters(), MAX_DECODER_GRADIENT),
            (self.prior.trained_parameters(), MAX_PRIOR_GRADIENT),
        )
        self.ema.update_parameters(self.sampler)
        self._losses.append(torch.stack([reconstruction_error.detach(), flow_loss.detach()]))

    def evaluate(self) -> Progress:
        """Return the mean losses since the last call. Raises ExecutionError if a loss is not finite."""
        reconstruction_error, flow_loss = torch.stack(self._losses).mean(0).tolist()
        self._losses = []
        moment_gap = self.gap_ema.squared_norm() / len(self.targets)
        total = moment_gap + reconstruction_error + flow_loss
        if not math.isfinite(total):
            remedy = "Lower the learning rate."
            raise ExecutionError(f"step {self.step}: loss", found=total, expected="a number", remedy=remedy)
        return Progress(self.step, moment_gap, reconstruction_error, flow_loss)

    def parts(self) -> dict[str, Stateful]:
        """Prior and decoder, the EMA of their weights, the optimiser, the EMA of the gaps, and the random generator."""
        names = ("sampler", "ema", "updates", "gap_ema")
        return {**{name: getattr(self, name) for name in names}, "random": RandomState(self.random)}

    def _unit(self, images: Tensor) -> Tensor:
        """Convert images (n, C, H, W) from the recipe's pixel range to [0, 1]."""
        low, high = self.objective.pixel_range
        return (images - low) / (high - low)


class GapEMA:
    """Exponential moving averages of moment gaps. The gaps of one batch are noisy, so the loss uses the averages."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.means: list[Tensor] = []

    def surrogate_loss(self, gaps: list[Tensor]) -> Tensor:
        """Update the moving averages, and return a scalar loss, sum(2 * average * gap), to minimise the squared gaps.

        The gradient of gap^2 is 2 * gap * (gradient of gap). In the gradient of this loss, the moving average replaces
        the factor gap, because the gap of one batch is noisy. gaps: moment gaps of one batch, tensors of any shape. The
        decay of the averages grows over the first updates, so that early gaps are soon forgotten.
        """
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        new = [gap.detach() for gap in gaps]
        previous = [mean.to(gap.device) for gap, mean in zip(new, self.means or new, strict=True)]
        self.means = [torch.lerp(gap, mean, decay) for gap, mean in zip(new, previous, strict=True)]
        return torch.stack([2 * (mean * gap).sum() for mean, gap in zip(self.means, gaps, strict=True)]).sum()

    def squared_norm(self) -> float:
        """Sum of the squared elements of all averaged gaps."""
        return sum(float((mean**2).sum()) for mean in self.means)

    def state_dict(self) -> State:
        """The averages, and the number of updates so far."""
        return {"updates": self.updates, "means": self.means}

    def load_state_dict(self, state: State) -> None:
        """Restore a state that `state_dict` returned."""
        self.updates, self.means = state["updates"], state["means"]

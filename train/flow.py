"""The network of the flow prior: a velocity field that turns standard normal noise into latents.

A path x(t) starts at noise x_0 at time t = 0, follows the velocity v(x, t), and ends at t = 1 at a normalised latent
x_1. The flow is trained so that these latents are distributed like the latents of real images.
"""

import math
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..recipes.learned_priors import FlowRecipe
from .prior_network import RefinablePrior, UnrolledPrior

# Size of the embedding of time and class. On MNIST, 64 and 128 gave no better samples, and a training step took up to
# 1.4 times as long.
EMBEDDING_DIM = 32
FREQUENCIES = 32  # time is embedded as this many sines and equally many cosines
MAX_FREQUENCY = 100.0


class Flow(RefinablePrior):
    """The velocity field of the flow prior, for normalised latents x, which have mean 0 and covariance I.

    mean (d,): mean of the training latents. factor (d, d): lower Cholesky factor of their covariance. A normalised
    latent x stands for the latent z = mean + factor x.
    """

    default_evaluations = 8

    def __init__(self, mean: Tensor, factor: Tensor, num_classes: int, recipe: FlowRecipe) -> None:
        super().__init__()
        self.latent_dim = len(mean)
        self.num_classes = num_classes
        self.mean, self.factor = (nn.Parameter(fixed, requires_grad=False) for fixed in (mean, factor))
        self.embedding = Embedding(num_classes)
        self.input_proj = nn.Linear(self.latent_dim, recipe.width)
        self.blocks = nn.ModuleList(Block(recipe.width) for _ in range(recipe.blocks))
        self.output_proj = nn.Linear(recipe.width, self.latent_dim)
        nn.init.zeros_(self.output_proj.weight)
        nn.init.zeros_(self.output_proj.bias)

    def trained_parameters(self) -> list[Tensor]:
        """The parameters that training changes: all except `mean` (d,) and `factor` (d, d)."""
        return [parameter for name, parameter in self.named_parameters() if name not in ("mean", "factor")]

    def forward(self, x: Tensor, t: Tensor, class_indices: Tensor) -> Tensor:
        """Velocities (n, d) at points x (n, d) and times t in [0, 1], (n,) or (1,), for class indices (n,).

        If there are no classes, all class indices are 0.
        """
        embedding = self.embedding(t, class_indices)
        modulations = (block.modulation(embedding) for block in self.block_list())
        return self.velocity(x, modulations)

    def velocity(self, x: Tensor, modulations: Iterable["Modulation"]) -> Tensor:
        """Velocities (n, d) at points x (n, d). modulations: the scale, shift and gate of each block."""
        hidden = self.input_proj(x)
        for block, modulation in zip(self.block_list(), modulations, strict=True):
            hidden = block.modulated(hidden, *modulation)
        velocity: Tensor = self.output_proj(functional.silu(hidden))
        return velocity

    def block_list(self) -> "list[Block]":
        """The residual blocks, in order."""
        return cast("list[Block]", list(self.blocks))

    def normalise(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> normalised latents x (n, d), with mean 0 and covariance I over the training latents."""
        x: Tensor = torch.linalg.solve_triangular(self.factor, (latents - self.mean).T, upper=False)
        return x.T

    def denormalise(self, x: Tensor) -> Tensor:
        """Normalised latents x (n, d) -> latents mean + factor x, (n, d)."""
        latents: Tensor = self.mean + x @ self.factor.T
        return latents

    def transport(self, noise: Tensor, class_indices: Tensor, evaluations: int) -> Tensor:
        """Move standard normal noise (n, d) along the velocity of its class (n,), to normalised latents (n, d).

        evaluations: how often the velocity is evaluated.
        """

        def velocity(x: Tensor, step: int) -> Tensor:  # points (n, d) -> velocities (n, d)
            t = torch.full((1,), step / evaluations, dtype=x.dtype, device=x.device)
            return self.forward(x, t, class_indices)

        return adams_bashforth(velocity, noise, evaluations)

    def sample(self, noise: Tensor, class_indices: Tensor, evaluations: int) -> Tensor:
        """Standard normal noise (n, d) and class indices (n,) -> latents (n, d), by `evaluations` of the velocity."""
        return self.denormalise(self.transport(noise, class_indices, evaluations))

    def training_loss(self, x_1: Tensor, class_indices: Tensor, random: Generator) -> Tensor:
        """Flow-matching loss, a scalar: mean squared error of the velocity on lines from random noise to latents.

        x_1: normalised latents (n, d). class_indices: int64 (n,).
        """
        x, t, class_indices, velocity = random_lines(x_1, class_indices, random)
        return functional.mse_loss(self(x, t, class_indices), velocity)

    def log_density(self, latents: Tensor, class_indices: Tensor, steps: int = 50) -> Tensor:
        """Log density (n,) in nats of latents (n, d), given their class indices (n,).

        Integrates from the latents back to noise in `steps` steps of the midpoint method, and integrates the divergence
        of the velocity along the way.
        Source: R. Chen et al., Neural Ordinary Differential Equations, 2018, equation 8.
        """
        x = self.normalise(latents)

        # Velocity (d,) at one point (d,), time (1,) and class index (). vmap below applies it to all points at once.
        def velocity_of_one(point: Tensor, t: Tensor, class_index: Tensor) -> Tensor:
            return self.forward(point[None], t, class_index[None])[0]

        jacobian = torch.func.vmap(torch.func.jacrev(velocity_of_one), in_dims=(0, None, 0))
        divergence = torch.zeros(len(x))
        for step in range(steps, 0, -1):
            t, middle = torch.full((1,), step / steps), torch.full((1,), (step - 0.5) / steps)
            halfway = x - self.forward(x, t, class_indices) / (2 * steps)
            divergence = divergence + torch.einsum("nii->n", jacobian(halfway, middle, class_indices)) / steps
            x = x - self.forward(halfway, middle, class_indices) / steps
        log_normal = -0.5 * (x**2).sum(1) - 0.5 * self.latent_dim * math.log(2 * math.pi)
        density: Tensor = log_normal - divergence - torch.log(torch.diagonal(self.factor)).sum()
        return density

    def unrolled(self, evaluations: int) -> "UnrolledFlow":
        """Return a module for export. It turns noise into latents by evaluating the velocity `evaluations` times."""
        return UnrolledFlow(self, evaluations)


def adams_bashforth(velocity: Callable[[Tensor, int], Tensor], x_0: Tensor, steps: int) -> Tensor:
    """Integrate a velocity from x_0 (n, d) at time 0 to x_1 (n, d) at time 1, in equal steps.

    velocity: a function of points (n, d) and the step's index, from 0, that returns velocities (n, d). The two-step
    Adams-Bashforth method evaluates it once per step. The integration error is proportional to 1 / steps^2.
    Source: E. Hairer, S. Norsett, G. Wanner, Solving Ordinary Differential Equations I, section III.1.
    """
    previous = velocity(x_0, 0)
    x = x_0 + previous / steps
    for step in range(1, steps):
        current = velocity(x, step)
        x = x + (1.5 * current - 0.5 * previous) / steps
        previous = current
    return x


def random_lines(x_1: Tensor, class_indices: Tensor, random: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sample a point on each straight line from noise x_0 at t = 0 to a normalised latent x_1 at t = 1; x_1 is (n, d).

    Returns the points x (n, d), times t (n,), class indices (n,) and the lines' velocities x_1 - x_0 (n, d). Half the
    times are uniform over [0, 1]; the other half are denser in the middle, where the velocity is hardest to learn (P.
    Esser et al., Scaling Rectified Flow Transformers, 2024, section 3.1).
    """
    n, device = len(x_1), random.device
    x_0 = torch.randn(x_1.shape, generator=random, device=device)
    uniform = torch.rand(n, generator=random, device=device)
    normal = torch.randn(n, generator=random, device=device)
    t = torch.where(torch.arange(n, device=device) % 2 == 0, uniform, torch.sigmoid(normal))
    x = (1 - t[:, None]) * x_0 + t[:, None] * x_1
    return x, t, class_indices, x_1 - x_0


class Embedding(nn.Module):
    """Map a time and a class to one joint embedding of EMBEDDING_DIM numbers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, EMBEDDING_DIM), nn.SiLU(), nn.Linear(EMBEDDING_DIM, EMBEDDING_DIM)
        )
        self.classes = nn.Embedding(max(num_classes, 1), EMBEDDING_DIM)

    def forward(self, t: Tensor, class_indices: Tensor) -> Tensor:
        """Times (1,) or (n,) in [0, 1] and class indices (n,) -> embeddings (n, EMBEDDING_DIM)."""
        frequencies = torch.exp(torch.linspace(0, math.log(MAX_FREQUENCY), FREQUENCIES, device=t.device))
        angles = t[:, None] * frequencies
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], 1)
        vector: Tensor = functional.silu(self.time(waves) + self.classes(class_indices))
        return vector


Modulation = tuple[Tensor, Tensor, Tensor]  # a block's scale, shift and gate, each (n, width)


class Block(nn.Module):
    """A residual block whose scale, shift and gate depend on time and class.

    Source: W. Peebles, S. Xie, Scalable Diffusion Models with Transformers, 2023, section 3.2, adaLN-Zero.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation_proj = nn.Linear(EMBEDDING_DIM, 3 * width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.modulation_proj.weight)
        nn.init.zeros_(self.modulation_proj.bias)

    def modulation(self, embedding: Tensor) -> Modulation:
        """Embedding (n, EMBEDDING_DIM) -> scale, shift and gate, each (n, width)."""
        scale, shift, gate = self.modulation_proj(embedding).chunk(3, dim=1)
        return 1 + scale, shift, gate

    def modulated(self, hidden: Tensor, scale: Tensor, shift: Tensor, gate: Tensor) -> Tensor:
        """Return the block's output (n, width) for its input `hidden` (n, width), scale, shift and gate."""
        changed: Tensor = hidden + gate * self.mlp(self.norm(hidden) * scale + shift)
        return changed


class UnrolledFlow(UnrolledPrior):
    """A module for export that turns noise into latents with a fixed number of evaluations of the velocity.

    The exported graph has no loop, but a copy of the operators for each evaluation. The times of all evaluations are
    fixed, so each block's scale, shift and gate depend only on the class. They are stored in tables with one row per
    class, so that the graph need not compute them.
    """

    def __init__(self, flow: Flow, evaluations: int) -> None:
        super().__init__()
        self.network: Flow = flow
        self.evaluations = evaluations
        classes = torch.arange(max(flow.num_classes, 1))
        with torch.no_grad():
            embeddings = [flow.embedding(torch.full((1,), step / evaluations), classes) for step in range(evaluations)]
            tables = [
                table
                for embedding in embeddings
                for block in flow.block_list()
                for table in block.modulation(embedding)
            ]
        self.tables = nn.ParameterList(nn.Parameter(table.contiguous(), requires_grad=False) for table in tables)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Standard normal noise (n, d) and class indices int64 (n,) -> latents (n, d).

        label: the class indices, or None if there are no classes.
        """
        # Each evaluation has three tables for each block, in order: scale, shift and gate.
        tables = iter(self.tables)

        def row_of_class(table: Tensor) -> Tensor:  # table (classes, width) -> the row of each sample's class
            return table if label is None else torch.index_select(table, 0, label)

        def velocity(x: Tensor, step: int) -> Tensor:  # points (n, d) -> velocities (n, d)
            modulations = [
                (row_of_class(next(tables)), row_of_class(next(tables)), row_of_class(next(tables)))
                for _ in self.network.blocks
            ]
            return self.network.velocity(x, modulations)

        return self.network.denormalise(adams_bashforth(velocity, noise, self.evaluations))

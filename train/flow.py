"""A prior that is learned: a flow that carries normal noise to the latents of real images.

The flow follows a velocity v(x, t) from noise at t = 0 to a code at t = 1.
"""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..recipes.flow import FlowRecipe


class Flow(nn.Module):
    """The velocity of the flow, in coordinates in which the latents have mean 0 and covariance I.

    mean (d,) and factor (d, d), lower triangular, lead back: z = mean + factor x. labels: how many there are.
    """

    def __init__(self, mean: Tensor, factor: Tensor, labels: int, recipe: FlowRecipe) -> None:
        super().__init__()
        d = len(mean)
        self.mean, self.factor = (nn.Parameter(fixed, requires_grad=False) for fixed in (mean, factor))
        self.labels = labels
        self.condition = Condition(labels)
        self.input_proj = nn.Linear(d, recipe.width)
        self.blocks = nn.ModuleList(Block(recipe.width) for _ in range(recipe.blocks))
        self.leave = nn.Linear(recipe.width, d)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def trained(self) -> list[Tensor]:
        """The parameters that training changes: all but mean and factor."""
        return [parameter for name, parameter in self.named_parameters() if name not in ("mean", "factor")]

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Velocity (n, d) at places x (n, d), times t (n,) or (1,) in [0, 1] and labels (n,), all 0 without labels."""
        condition = self.condition(t, label)
        hidden = self.input_proj(x)
        for block in self.chain():
            hidden = block(hidden, condition)
        return self.exit(hidden)

    def chain(self) -> "list[Block]":
        """The blocks, in order."""
        return cast("list[Block]", list(self.blocks))

    def exit(self, hidden: Tensor) -> Tensor:
        """The velocity (n, d) that the last block's units (n, width) amount to."""
        velocity: Tensor = self.leave(functional.silu(hidden))
        return velocity

    def whiten(self, latents: Tensor) -> Tensor:
        """Latents (n, d) in the flow's coordinates."""
        white: Tensor = torch.linalg.solve_triangular(self.factor, (latents - self.mean).T, upper=False)
        return white.T

    def unwhiten(self, x: Tensor) -> Tensor:
        """The flow's coordinates (n, d) as latents."""
        latents: Tensor = self.mean + x @ self.factor.T
        return latents

    def carry(self, x: Tensor, label: Tensor, steps: int) -> Tensor:
        """Noise (n, d) carried to latents (n, d), for labels (n,), in `steps` evaluations of the velocity."""

        def velocity(x: Tensor, step: int) -> Tensor:
            time = torch.full((1,), step / steps, dtype=x.dtype, device=x.device)
            return self.forward(x, time, label)

        return self.unwhiten(integrate(velocity, x, steps))


def integrate(velocity: Callable[[Tensor, int], Tensor], x: Tensor, steps: int) -> Tensor:
    """Follow a velocity from time 0 to 1 in equal steps of the two-step Adams-Bashforth method.

    velocity: of a place and the number of a step, from 0. Each step costs one evaluation, and the error falls with the
    square of their number. Source: E. Hairer, S. Norsett, G. Wanner, Solving Ordinary Differential Equations I,
    section III.1.
    """
    before = velocity(x, 0)
    x = x + before / steps
    for step in range(1, steps):
        now = velocity(x, step)
        x = x + (1.5 * now - 0.5 * before) / steps
        before = now
    return x


def log_density(flow: Flow, latents: Tensor, labels: Tensor, steps: int = 50) -> Tensor:
    """Log density of latents (n, d) of labels (n,), in nats (n,).

    The flow is followed back to the noise it would have come from, and what it spreads or gathers on the way adds up.
    Source: R. Chen et al., Neural Ordinary Differential Equations, 2018, equation 8.
    """
    x = flow.whiten(latents)
    d = x.shape[1]

    def at_one(place: Tensor, time: Tensor, label: Tensor) -> Tensor:
        return flow.forward(place[None], time, label[None])[0]

    jacobian = torch.func.vmap(torch.func.jacrev(at_one), in_dims=(0, None, 0))
    gathered = torch.zeros(len(x))
    for step in range(steps, 0, -1):
        time, middle = torch.full((1,), step / steps), torch.full((1,), (step - 0.5) / steps)
        halfway = x - flow.forward(x, time, labels) / (2 * steps)
        gathered = gathered + torch.einsum("nii->n", jacobian(halfway, middle, labels)) / steps
        x = x - flow.forward(halfway, middle, labels) / steps
    normal = -0.5 * (x**2).sum(1) - 0.5 * d * math.log(2 * math.pi)
    density: Tensor = normal - gathered - torch.log(torch.diagonal(flow.factor)).sum()
    return density


class Condition(nn.Module):
    """Time and label as one vector (n, WIDTH)."""

    FREQUENCIES = 32
    WIDTH = 128

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.time = nn.Sequential(
            nn.Linear(2 * self.FREQUENCIES, self.WIDTH), nn.SiLU(), nn.Linear(self.WIDTH, self.WIDTH)
        )
        self.label = nn.Embedding(max(labels, 1), self.WIDTH)

    def forward(self, t: Tensor, label: Tensor) -> Tensor:
        """Times (1,) or (n,) and labels (n,) -> (n, WIDTH)."""
        angles = t[:, None] * torch.exp(torch.linspace(0, math.log(100), self.FREQUENCIES, device=t.device))
        waves = torch.cat([torch.cos(angles), torch.sin(angles)], 1)
        vector: Tensor = functional.silu(self.time(waves) + self.label(label))
        return vector


class Block(nn.Module):
    """A residual block that time and label scale and shift (W. Peebles, S. Xie, 2023, adaLN-Zero)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(Condition.WIDTH, 3 * width)
        self.change = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """(n, width) and a condition (n, WIDTH) -> (n, width)."""
        return self.modulated(hidden, *self.modulation_of(condition))

    def modulation_of(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a condition (n, WIDTH) says to this block: scale, shift and gate, each (n, width)."""
        scale, shift, gate = self.modulation(condition).chunk(3, dim=1)
        return 1 + scale, shift, gate

    def modulated(self, hidden: Tensor, scale: Tensor, shift: Tensor, gate: Tensor) -> Tensor:
        """All (n, width) -> (n, width)."""
        changed: Tensor = hidden + gate * self.change(self.norm(hidden) * scale + shift)
        return changed

"""The network of a distilled flow: it maps noise to the latents where the flow's path ends, in one evaluation."""

import copy
import itertools

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from ..recipes.distillation import DistillationRecipe
from ..recipes.learned_priors import FlowRecipe
from ..runtime.errors import InputError
from .flow import Flow
from .prior_network import RefinablePrior, UnrolledPrior


class FlowMap(RefinablePrior):
    """The map from noise to latents that a flow defines, learned by a small fully connected network.

    flow: the flow that the network was distilled from. The flow is not trained further, and gives the densities of
    latents. The network computes a linear map of the noise plus a correction by hidden layers, whose first biases
    depend on the class.
    Source: E. Luhman, T. Luhman, Knowledge Distillation in Iterative Generative Models, 2021.
    """

    default_evaluations = 1

    def __init__(self, flow: Flow, recipe: DistillationRecipe) -> None:
        super().__init__()
        self.flow = copy.deepcopy(flow).requires_grad_(False)
        self.latent_dim, self.num_classes = flow.latent_dim, flow.num_classes
        self.teacher_evaluations = recipe.evaluations
        widths = [recipe.width] * recipe.layers
        self.classes = nn.Embedding(max(flow.num_classes, 1), recipe.width)
        self.layers = nn.ModuleList(itertools.starmap(nn.Linear, itertools.pairwise([flow.latent_dim, *widths])))
        self.output_proj = nn.Linear(recipe.width, flow.latent_dim)
        self.linear = nn.Linear(flow.latent_dim, flow.latent_dim, bias=False)
        nn.init.normal_(self.classes.weight, std=0.5)
        nn.init.eye_(self.linear.weight)

    def trained_parameters(self) -> list[Tensor]:
        """The parameters that training changes: all except those of the flow."""
        return [parameter for name, parameter in self.named_parameters() if not name.startswith("flow.")]

    def forward(self, noise: Tensor, class_indices: Tensor) -> Tensor:
        """Standard normal noise (n, d) and class indices (n,) -> normalised latents (n, d)."""
        latents: Tensor = self.output_proj(self.hidden(noise, self.classes(class_indices))) + self.linear(noise)
        return latents

    def hidden(self, noise: Tensor, class_biases: Tensor) -> Tensor:
        """Values of the last hidden layer, (n, width), for noise (n, d).

        class_biases: biases of the first layer for the class of each row, (n, width), or for all rows, (1, width).
        """
        first, *others = self.layers
        hidden = functional.silu(first(noise) + class_biases)
        for layer in others:
            hidden = functional.silu(layer(hidden))
        return hidden

    def normalise(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> normalised latents (n, d), with mean 0 and covariance I over the training latents."""
        return self.flow.normalise(latents)

    def sample(self, noise: Tensor, class_indices: Tensor, evaluations: int = 1) -> Tensor:
        """Standard normal noise (n, d) and class indices (n,) -> latents (n, d). evaluations: always 1."""
        return self.flow.denormalise(self(noise, class_indices))

    def training_loss(self, x_1: Tensor, class_indices: Tensor, random: Generator) -> Tensor:
        """Distillation error, a scalar: mean squared difference from the flow, for new noise and these classes (n,).

        x_1: not used, because the flow gives the latents.
        """
        noise = torch.randn(x_1.shape, generator=random, device=random.device)
        with torch.no_grad():
            target = self.flow.transport(noise, class_indices, self.teacher_evaluations)
        return functional.mse_loss(self(noise, class_indices), target)

    def log_density(self, latents: Tensor, class_indices: Tensor) -> Tensor:
        """Log density (n,) in nats of latents (n, d) under the flow that this network was distilled from."""
        return self.flow.log_density(latents, class_indices)

    def unrolled(self, evaluations: int) -> "UnrolledFlowMap":
        """Return a module for export. Raises InputError unless `evaluations` is 1."""
        if evaluations != 1:
            raise InputError("evaluations", found=evaluations, expected="1, because the flow is distilled")
        return UnrolledFlowMap(self)


def build(recipe: DistillationRecipe, flow_recipe: FlowRecipe, state_dict: dict[str, Tensor], classes: int) -> FlowMap:
    """Rebuild a distilled flow from its tensors. flow_recipe: the recipe of the flow. classes: number of classes, or 0.

    Raises KeyError or torch's errors when the tensors do not fit the recipes.
    """
    flow = Flow(state_dict["flow.mean"], state_dict["flow.factor"], classes, flow_recipe)
    network = FlowMap(flow, recipe)
    network.load_state_dict(state_dict)
    return network.eval()


class UnrolledFlowMap(UnrolledPrior):
    """A distilled flow as a module for export.

    The conversion from normalised latents to latents is linear, so it is merged into the last layers.
    """

    evaluations = 1

    def __init__(self, network: FlowMap) -> None:
        super().__init__()
        self.network: FlowMap = network
        self.output_proj, self.linear = copy.deepcopy(network.output_proj), copy.deepcopy(network.linear)
        mean, factor = network.flow.mean, network.flow.factor
        with torch.no_grad():
            self.output_proj.weight.copy_(factor @ network.output_proj.weight)
            self.output_proj.bias.copy_(mean + factor @ network.output_proj.bias)
            self.linear.weight.copy_(factor @ network.linear.weight)
        self.requires_grad_(False)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Standard normal noise (n, d) and class indices int64 (n,) -> latents (n, d).

        label: the class indices, or None if there are no classes.
        """
        table = self.network.classes.weight
        hidden = self.network.hidden(noise, table if label is None else torch.index_select(table, 0, label))
        latents: Tensor = self.output_proj(hidden) + self.linear(noise)
        return latents

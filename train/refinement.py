"""A refined run: its decoder has gone on learning from drawn codes, its encoder, and so its prior, is the same.

In training a decoder sees the codes of real pictures alone, and what a code leaves open it averages. What is drawn
comes out a little too smooth, and a code that lies a little off comes out as no picture at all.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..data.datasets import Dataset, Pictures
from ..runtime.errors import InputError
from ..runtime.manifest import ImageSpec
from ..runtime.pixels import to_tensor
from ..runtime.session import allowed_threads
from . import processes
from .checkpoint import Checkpoint
from .codes import encode, label_values
from .flow import Flow
from .judge import UNIT, JudgeRecipe, train_judge
from .moment_matching import Progress, RefinementRecipe, match_moments
from .perception import Perception, looks
from .priors import LearnedPrior

POOL = 100_000  # codes drawn once, that all steps choose from
BATCH = 1000
NARROW = {"features": 96, "channels": 16}  # a smaller classifier than a judge, and taught less


def refine(
    checkpoint: Checkpoint,
    prior: LearnedPrior,
    dataset: Dataset,
    recipe: RefinementRecipe,
    *,
    threads: int | None = None,
    note: Callable[[str], None] = lambda line: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Checkpoint:
    """A run's checkpoint with a decoder that was refined on what its prior draws.

    A classifier of the training pictures' labels is trained first; a judge, which measures models, has no part in it.
    note: called when something begins. report: called every so many steps.
    The same checkpoint, prior, data and recipe give the same decoder on one machine with one number of threads.
    Raises InputError when `dataset` is not what the network was trained on or has no labels, or the checkpoint is
    refined already.
    """
    checkpoint.check_same_data(dataset.facts)
    if checkpoint.refinement is not None:
        raise InputError(checkpoint.file, found="a refined run", expected="the run that it was made from")
    torch.set_num_threads(threads or allowed_threads())
    device = processes.device()
    image = ImageSpec(checkpoint.shape, checkpoint.recipe.pixel_range)
    images = dataset.train.images
    objective = checkpoint.objective()
    codes = encode(objective.network.eval(), dataset.train, label_values(dataset.train.labels), image)
    labels = torch.from_numpy(codes.labels)

    note("classifier ...")
    lessons = JudgeRecipe(epochs=recipe.lessons, seed=recipe.seed + 1, **NARROW)
    labelled = Pictures(images, None if dataset.train.labels is None else codes.labels)
    perception = Perception(train_judge(lessons, labelled, labelled[:0], threads=threads)).to(device)

    def pictures(rows: Tensor, spec: ImageSpec = image) -> Tensor:
        return torch.from_numpy(to_tensor(images[rows.cpu().numpy()], spec)).to(device)

    note("codes ...")
    batches = torch.split(torch.arange(len(images)), BATCH)
    unit = ImageSpec(checkpoint.shape, UNIT)
    real = looks(perception, ((pictures(rows, unit), labels[rows].to(device)) for rows in batches))
    drawn, asked = draw(prior.flow, labels[labels < prior.flow.labels], recipe.flow_steps, recipe.seed)
    latent = torch.from_numpy(codes.latent).to(device)
    given = (drawn.to(device), asked.to(device))
    match_moments(objective.to(device), recipe, given, latent, pictures, perception, real, report=report)
    weights = {name: value.cpu() for name, value in objective.state_dict().items()}
    return dataclasses.replace(checkpoint, weights=weights, training=None, refinement=recipe)


@torch.no_grad()
def draw(flow: Flow, labels: Tensor, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """POOL codes (POOL, d) of a flow in `steps` evaluations, and their labels, as frequent as in `labels` (n,)."""
    random = Generator().manual_seed(seed)
    noise = torch.randn(POOL, len(flow.mean), generator=random)
    asked = labels[torch.randint(len(labels), (POOL,), generator=random)]
    parts = zip(torch.split(noise, BATCH), torch.split(asked, BATCH), strict=True)
    return torch.cat([flow.carry(part, label, steps) for part, label in parts]), asked

"""`aegen plot`: figures of a model, of its latents and of its training. Each figure is a command of its own."""

import click

from .lazy_group import LazyGroup

FIGURES = {
    "latent": "Show latents as points of a plane, coloured by class.",
    "training": "Show the losses of a training run by epoch.",
    "priors": "Show samples of every prior, and their distances to real images.",
    "quality": "Show the quality of samples beside the time that they take.",
}


@click.command(cls=LazyGroup, sections={"Figures": FIGURES}, modules=".plot_{}")
def command() -> None:
    """Make a figure, as .png, .svg or .pdf. This needs the extra `plot`: pip install 'aegen[plot]'.

    `aegen plot FIGURE --help` explains each figure. With --json it prints the data of the figure.

    \b
    aegen plot latent --data mnist -o latents.png
    aegen plot training runs/vae -o curves.svg
    """

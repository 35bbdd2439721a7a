"""Make the plan of `aegen create`: describe the images, measure the machine, and apply the rules of recipes/plan.py."""

import time

from ..data.datasets import Dataset
from ..evaluation.feature_extractor import ships_for
from ..recipes.plan import (
    Budget,
    Plan,
    candidates,
    classifier_recipe,
    is_affordable,
    make_plan,
    prior_recipe,
    refinement_recipe,
)
from ..recipes.stage_seconds import Facts, StepSeconds
from ..recipes.training import Recipe
from ..runtime.threads import chosen_threads
from . import processes, throughput
from .latents import label_values

MEASURED_FRACTION = 1 / 600  # fraction of the budget for which each kind of step is measured
MIN_MEASURED, MAX_MEASURED = 0.1, 2.0  # limits, in seconds, on how long each kind of step is measured


def plan_for(dataset: Dataset, budget: float, *, began: float, fast: bool, threads: int | None) -> Plan:
    """The plan for a data set. A few training steps of each stage are measured, which takes seconds.

    budget: seconds for the whole command. began: when the command began, in seconds of time.monotonic(). fast: whether
    the light network is chosen. threads: number of CPU threads, by default chosen_threads().
    """
    count, facts = chosen_threads(threads), facts_of(dataset)
    processes.set_up(count)
    seconds = min(max(MEASURED_FRACTION * budget, MIN_MEASURED), MAX_MEASURED)
    autoencoder, step = _autoencoder(dataset, facts, Budget(budget, time.monotonic() - began), seconds, fast=fast)
    prior, classifier = prior_recipe(fast=fast), classifier_recipe()
    steps = StepSeconds(
        autoencoder=step,
        prior=throughput.prior_seconds(prior, autoencoder.latent_dim, seconds),
        classifier=throughput.classifier_seconds(classifier, dataset, seconds),
        refinement=throughput.refinement_seconds(
            refinement_recipe(fast=fast), (autoencoder, prior, classifier), dataset, seconds
        ),
    )
    spent = Budget(budget, time.monotonic() - began)
    return make_plan(facts, autoencoder, steps, spent, fast=fast, threads=count)


def facts_of(dataset: Dataset) -> Facts:
    """The facts about a data set from which the plan is made. Labels of fewer than two classes count as no labels."""
    classes = len(label_values(dataset.train.labels))
    return Facts(
        shape=dataset.shape,
        training_images=len(dataset.train),
        test_images=len(dataset.test),
        num_classes=classes if classes > 1 else 0,
        has_features=ships_for(dataset.facts),
    )


def _autoencoder(dataset: Dataset, facts: Facts, budget: Budget, seconds: float, *, fast: bool) -> tuple[Recipe, float]:
    """The first affordable candidate, or the last one if none is, and the seconds of one of its training steps."""
    for candidate in candidates(facts, fast=fast):
        step = throughput.autoencoder_seconds(candidate, dataset, seconds)
        if is_affordable(candidate, step, facts, budget):
            break
    return candidate, step

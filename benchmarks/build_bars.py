"""The goals that this build of aegen must reach, compared with an older build. against_build.py measures them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, getitem, le
from typing import Any

BULK = 65_536  # number of images in a large call

Results = dict[str, Any]  # the JSON document that against_build.py prints
Value = Callable[[Results], float]  # finds a value in the results; raises KeyError if it was not measured


@dataclass(frozen=True)
class Bar:
    """A goal: the name of a value, how to find the value in the results, and its limit: "<=" or ">=" and a number."""

    name: str
    value: Value
    relation: str
    limit: float

    def is_measured(self, results: Results) -> bool:
        """Whether the results contain the value of this goal."""
        try:
            self.value(results)
        except KeyError:
            return False
        return True

    def check(self, results: Results) -> dict[str, Any]:
        """The measured value, the limit, and whether the value is within the limit."""
        value = self.value(results)
        passed = {"<=": le, ">=": ge}[self.relation](value, self.limit)
        return {"name": self.name, "value": value, "limit": f"{self.relation} {self.limit:.4g}", "passed": passed}


def speedup(model: str, n: int) -> Value:
    """Speed of this build divided by that of the older one, for n samples in a call; the lowest over thread counts."""

    def find(results: Results) -> float:
        by_call: dict[tuple[str, int], list[float]] = {}
        for row in results["speed"]:
            by_call.setdefault((row["model"], row["n"]), []).append(row["speedup"])
        return min(by_call[model, n])

    return find


def score(model: str, metric: str, worst: Callable[[list[float]], float]) -> Value:
    """The worst score of this build over the seeds. worst: max if lower scores are better, otherwise min."""
    return lambda results: worst([row["this"][metric] for row in results["quality"][model]])


def change(model: str, metric: str, worst: Callable[[list[float]], float]) -> Value:
    """The worst change of a score from the older build to this one, for samples of one seed. worst: see `score`."""
    return lambda results: worst([row["this"][metric] - row["older"][metric] for row in results["quality"][model]])


def distance_ratio(model: str) -> Value:
    """The worst Frechet distance of this build over the seeds, divided by that of real training images."""
    distance = score(model, "frechet_distance", max)
    return lambda results: distance(results) / results["real_images"]["frechet_distance"]


def error_ratio(model: str) -> Value:
    """The reconstruction error of this build divided by that of the older one, to three decimal places.

    The ratio is rounded, because pixels of the builds differ in their last bits.
    """

    def find(results: Results) -> float:
        errors = results["reconstruction_mse"][model]
        return round(errors["this"] / errors["older"], 3)

    return find


def at(*keys: str) -> Value:
    """Make the function that finds the value under these nested keys in the results."""
    return lambda results: functools.reduce(getitem, keys, results)


BARS = (
    Bar("mnist: samples/s in bulk, to the older build", speedup("mnist", BULK), ">=", 3),
    Bar("mnist: samples/s at n = 1, to the older build", speedup("mnist", 1), ">=", 4),
    Bar("mnist: change of the Frechet distance", change("mnist", "frechet_distance", max), "<=", 0),
    Bar("mnist: change of recall", change("mnist", "recall", min), ">=", -0.01),
    Bar("mnist: change of coverage", change("mnist", "coverage", min), ">=", -0.01),
    Bar("mnist: class accuracy", score("mnist", "class_accuracy", min), ">=", 0.99),
    Bar("mnist: reconstruction MSE, to the older build", error_ratio("mnist"), "<=", 1),
    Bar("mnist-fast: samples/s in bulk, to the older build", speedup("mnist-fast", BULK), ">=", 2),
    Bar("mnist-fast: Frechet distance, to real images", distance_ratio("mnist-fast"), "<=", 1.6),
    Bar("mnist-fast: recall", score("mnist-fast", "recall", min), ">=", 0.82),
    Bar("mnist-fast: class accuracy", score("mnist-fast", "class_accuracy", min), ">=", 0.985),
    Bar("aegen sample -n 64: time, to its imports", at("command", "to_imports", "this"), "<=", 1.35),
    Bar("aegen sample -n 64: memory, to the older build", at("command", "memory_ratio"), "<=", 0.75),
    Bar("mnist: first sample, to the older build", at("first_sample", "mnist", "wall_ratio"), "<=", 1 / 3),
    Bar("mnist-fast: samples/s to a file, to samples/s kept nowhere", at("to_disk", "wall_ratio"), ">=", 0.9),
    Bar("mnist-fast: memory of the samples to a file, MB", at("to_disk", "file", "peak_mb"), "<=", 150),
    Bar("calls whose pixels changed", at("changed_pixels"), "<=", 0),
)  # fmt: skip

"""The progress of `aegen create`: one bar over all stages with the time that is left, or a line for each stage."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..recipes.budget import duration
from .messages import one_bar, say
from .stopping import raise_pending_signal

if TYPE_CHECKING:
    from ..recipes.stage_seconds import StepSeconds


class CreateProgress:
    """Shows how far a run has come. Each stage is weighted by the seconds that the plan expects of it.

    stages: title and expected seconds of each stage. steps: expected seconds of a training step of each stage. bar:
    click's progress bar; None with --quiet or if standard error is no terminal.
    """

    def __init__(self, stages: Sequence[tuple[str, float]], steps: "StepSeconds", bar: Any) -> None:
        self.stages, self.bar = stages, bar
        self.index = -1
        self.seconds = 0.0  # expected seconds of the steps that the current stage has done
        self.step_seconds = {
            "autoencoder": steps.autoencoder,
            "flow": steps.prior,
            "classifier": steps.classifier,
            "refinement": steps.refinement,
        }

    def begin(self, title: str) -> None:
        """Show that a stage begins. Stages before it count as done, even if they were left out."""
        while self.stages[self.index][0] != title or self.index < 0:
            self.index += 1
        self.seconds = 0.0
        if self.bar is None:
            say(f"{self.index + 1}/{len(self.stages)} {title}: about {duration(self.stages[self.index][1])} ...")
        self._show()

    def watch(self, title: str, steps: int) -> None:
        """Count `steps` more training steps of the current stage. title: name of the training, such as `flow`."""
        raise_pending_signal()
        self.seconds += steps * self.step_seconds.get(title, 0.0)
        self._show()

    def _show(self) -> None:
        if self.bar is not None:
            title, expected = self.stages[self.index]
            before = sum(seconds for _, seconds in self.stages[: self.index])
            self.bar.update(int(before + min(self.seconds, expected)) - self.bar.pos, title)


@contextmanager
def create_progress(stages: Sequence[tuple[str, float]], steps: "StepSeconds") -> Iterator[CreateProgress]:
    """Yield the progress of a run, and remove its bar at the end. The arguments are those of CreateProgress."""
    total = int(sum(seconds for _, seconds in stages))
    with one_bar(total) as bar:
        yield CreateProgress(stages, steps, bar)
        if bar is not None:
            bar.update(total - bar.pos)

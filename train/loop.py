"""The training loop that every stage shares: autoencoder, learned prior, refinement and feature extractor.

The modules beside this one define the stages. Each has a class derived from `Training`, whose method `update` is one
step of the stage's algorithm.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from tqdm import tqdm

from . import processes
from .archives import State, Stateful, restore_states, restoring, states_of
from .interrupts import uninterrupted
from .updates import Updates

Result = TypeVar("Result")  # what an evaluation measures, such as `Epoch` or `Progress`
Watcher = Callable[[str, int], None]  # arguments: title of the training, number of steps since the last call

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Within the block, call `watcher` after each step of each training, instead of showing a bar for each training.

    When a training is resumed, the first call reports all the steps that were done before.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class Training(ABC, Generic[Result]):
    """A stage of training: its networks, optimiser, batches and random numbers.

    title: the name of the stage, for the progress bar and for error messages. interval: number of steps between two
    evaluations. updates: the optimiser with its schedule.
    """

    title: str
    interval: int
    updates: Updates

    @property
    def step(self) -> int:
        """Number of training steps so far."""
        return self.updates.step

    @abstractmethod
    def update(self) -> None:
        """Do one training step, on the next batch."""

    @abstractmethod
    def evaluate(self) -> Result:
        """Measure the losses. Raises ExecutionError when one is not finite."""

    @abstractmethod
    def parts(self) -> Mapping[str, Stateful]:
        """All objects that change during the training, by name. Their states determine all further steps."""

    def is_finished(self) -> bool:
        """Whether all steps are done. A stage that can stop early overrides this method."""
        return self.step >= self.updates.steps

    def state_dict(self) -> State:
        """The whole state of the training, right after an evaluation."""
        return states_of(self.parts())

    def load_state_dict(self, state: State) -> None:
        """Restore a state that `state_dict` returned. Raises InputError when it is damaged or of another training."""
        with restoring(f"training state of the {self.title}", "one of the same recipe and data"):
            restore_states(self.parts(), state)


def run(
    training: Training[Result],
    *,
    resume: State | None = None,
    keep: Callable[[State, Result], None] = lambda state, result: None,
    report: Callable[[Result], None] = lambda result: None,
) -> None:
    """Train until the training is finished, and evaluate it every `interval` steps and after the last step.

    resume: the state of an interrupted training, to continue it. keep: called after each evaluation with the whole
    state and the result. It must save the state before it returns, because the next steps change the state's tensors.
    report: called after `keep` with the result. Ctrl-C and similar signals wait until `keep` and `report` return. With
    several processes, only the first process calls `keep` and `report`. On one machine with the same number of threads,
    the training gives the same weights, resumed or not.
    """
    if resume is not None:
        training.load_state_dict(resume)
    steps, watcher = training.updates.steps, _watcher.get()
    hidden = None if processes.is_first() and watcher is None else True
    if watcher is not None:
        watcher(training.title, training.step)
    with tqdm(
        total=steps, initial=training.step, desc=training.title, unit=" steps", leave=False, disable=hidden
    ) as bar:
        while not training.is_finished():
            training.update()
            bar.update()
            if watcher is not None:
                watcher(training.title, 1)
            if training.step % training.interval == 0 or training.step == steps:
                result = training.evaluate()
                if processes.is_first():
                    with uninterrupted():
                        keep(training.state_dict(), result)
                        report(result)

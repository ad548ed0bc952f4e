"""Evaluate while training."""

from collections.abc import Callable

from llmcore.training.hooks import MetricsRow, StopStatus
from llmcore.training.state import TrainState

Evaluate = Callable[[TrainState], dict[str, float]]
"""Metrics on held-out data, for example {"val_loss": 2.1}; must draw no random numbers."""


class EvaluationHook:
    """Add evaluation metrics to the row, so put it before the hooks that write rows.

    Args:
        evaluate: Called with the state.
        every: Optimiser steps between evaluations; 0 = only after the last step.
        num_steps: Steps of the run.
    """

    def __init__(self, evaluate: Evaluate, *, every: int, num_steps: int) -> None:
        self._evaluate = evaluate
        self._every = every
        self._num_steps = num_steps

    def on_start(self, state: TrainState) -> None:
        """Nothing to prepare."""

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Evaluate when due."""
        is_due = self._every > 0 and state.step % self._every == 0
        if is_due or state.step == self._num_steps:
            row.update(self._evaluate(state))

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Nothing to clean up."""

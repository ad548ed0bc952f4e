"""The training loop of every stage: batches in, step function, hooks."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from llmcore.errors import Interrupted, TrainingError
from llmcore.training.hooks import Hook, MetricsRow, StopStatus
from llmcore.training.interrupts import deferred_interrupts
from llmcore.training.memory import resident_mb
from llmcore.training.state import TrainState


@runtime_checkable
class MicroBatch(Protocol):
    """What `fit` asks of a micro-batch."""

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""


BatchT = TypeVar("BatchT", bound=MicroBatch)
BatchT_co = TypeVar("BatchT_co", bound=MicroBatch, covariant=True)


@runtime_checkable
class BatchStream(Protocol[BatchT_co]):
    """An endless source of micro-batches whose position can be saved."""

    def __next__(self) -> Sequence[BatchT_co]:
        """The micro-batches of one optimiser step."""

    def state_dict(self) -> dict[str, Any]:
        """Position: JSON values and tensors by name (cursor, shuffle state, packing buffer)."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position that `state_dict` gave."""


StepFn = Callable[[TrainState, Sequence[BatchT]], dict[str, float]]
"""One optimiser step: (state, micro_batches) -> metrics with at least `loss`, `lr`, `grad_norm`."""


def fit(
    state: TrainState,
    step_fn: StepFn[BatchT],
    batches: BatchStream[BatchT],
    hooks: Sequence[Hook] = (),
    *,
    num_steps: int,
    resume_hint: str = "",
) -> None:
    """Run optimiser steps until `state.step` is `num_steps`.

    Args:
        state: Where to go on from; changed in place.
        step_fn: Computes the loss over all micro-batches, divides by their trained tokens,
            updates the weights and returns metrics.
        batches: Source of micro-batches, at the position that belongs to `state.step`.
        hooks: Called in order after each step.
        num_steps: Optimiser steps of the whole run, those already done included.
        resume_hint: Completes the message of `Interrupted`, for example a command.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; the running step was finished and hooks were told.
        TrainingError: the loss is not finite.
    """
    status: StopStatus = "failed"

    def stop(hook: Hook) -> None:
        hook.on_stop(state, status)

    with deferred_interrupts() as interrupt, contextlib.ExitStack() as stops:
        for hook in hooks:
            hook.on_start(state)
            stops.callback(stop, hook)
        while state.step < num_steps and not interrupt:
            row = _timed_step(state, step_fn, batches)
            for hook in hooks:
                hook.on_step(state, row)
        status = "interrupted" if interrupt else "finished"
    if interrupt:
        hint = f"; {resume_hint}" if resume_hint else ""
        raise Interrupted(f"{interrupt.signal_name}: stopped after step {state.step}{hint}")


def _timed_step(
    state: TrainState, step_fn: StepFn[BatchT], batches: BatchStream[BatchT]
) -> MetricsRow:
    start = time.perf_counter()
    micro_batches = next(batches)
    metrics = step_fn(state, micro_batches)
    seconds = time.perf_counter() - start
    if not math.isfinite(metrics["loss"]):
        raise TrainingError(f"step {state.step + 1}: loss must be finite, got {metrics['loss']}")
    num_tokens = sum(batch.num_tokens for batch in micro_batches)
    state.step += 1
    state.tokens_seen += num_tokens
    state.train_seconds += seconds
    return {
        "step": state.step,
        **metrics,
        "tokens_per_s": num_tokens / seconds,
        "tokens_seen": state.tokens_seen,
        "time_s": state.train_seconds,
        "rss_mb": resident_mb(),
    }

"""Save checkpoints while training, and go on from the newest one."""

from collections.abc import Iterator
from typing import Any

from llmcore.checkpoint import CheckpointManager
from llmcore.config import Config, to_table
from llmcore.errors import ConfigError
from llmcore.training.config import RESUME_FREE_FIELDS
from llmcore.training.fit import BatchStream
from llmcore.training.hooks import MetricsRow, StopStatus
from llmcore.training.snapshot import restore_snapshot, take_snapshot
from llmcore.training.state import TrainState


class CheckpointHook:
    """Save every so many steps, and once more when the run finishes or is interrupted.

    Args:
        manager: Where to.
        batches: The stream that `fit` reads; its position belongs to the checkpoint.
        config: Stored too, so that a resume with another one is refused.
        every: Optimiser steps between checkpoints.
    """

    def __init__(
        self, manager: CheckpointManager, batches: BatchStream[Any], *, config: Config, every: int
    ) -> None:
        self._manager = manager
        self._batches = batches
        self._config = config
        self._every = every
        self._saved_step = -1

    def on_start(self, state: TrainState) -> None:
        """Remember that a resumed step is saved already."""
        self._saved_step = state.step if state.step else -1

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Save when the step is a multiple of `every`."""
        if state.step % self._every == 0:
            self._save(state)

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Save what is not saved yet, except after an error."""
        if status != "failed" and state.step != self._saved_step:
            self._save(state)

    def _save(self, state: TrainState) -> None:
        snapshot = take_snapshot(state, self._batches)
        json_state = {**snapshot.json_state, "config": to_table(self._config)}
        self._manager.save(state.step, snapshot.tensors, json_state)
        self._saved_step = state.step


def resume(
    manager: CheckpointManager, state: TrainState, batches: BatchStream[Any], *, config: Config
) -> bool:
    """Go on from the newest valid checkpoint; False where there is none.

    Args:
        manager: Where to look.
        state: Changed in place.
        batches: Moved to the stored position.
        config: Must equal the stored one, except in fields that change no loss.

    Raises:
        ConfigError: another configuration; the message names the first field that differs.
        CheckpointError: all checkpoints are damaged, or do not fit the model.
    """
    checkpoint = manager.latest()
    if checkpoint is None:
        return False
    stored = dict(_flat(checkpoint.json_state["config"]))
    wanted = dict(_flat(to_table(config)))
    for path in [*wanted, *stored]:
        is_free = path.removeprefix("train.") in RESUME_FREE_FIELDS
        if stored.get(path) != wanted.get(path) and not is_free:
            raise ConfigError(
                f"{path} must be {stored.get(path)!r} as in {checkpoint.path} to resume, "
                f"got {wanted.get(path)!r}; start afresh or use another output directory"
            )
    restore_snapshot(checkpoint, state, batches)
    return True


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value

"""metrics.jsonl: one JSON object per logged step."""

import json
import os
from pathlib import Path
from typing import TextIO

from llmcore.checkpoint import atomic_write
from llmcore.errors import CheckpointError
from llmcore.training.hooks import MetricsRow, StopStatus
from llmcore.training.state import TrainState


class MetricsLog:
    """Append metrics rows to a file; on start, drop the rows after the step of the state.

    Args:
        path: The file; created where it does not exist.
        every: Optimiser steps between rows; rows with an evaluation are always written.
        num_steps: The last step of the run is always written.
    """

    def __init__(self, path: str | Path, *, every: int, num_steps: int) -> None:
        self.path = Path(path)
        self._every = every
        self._num_steps = num_steps
        self._file: TextIO | None = None

    def on_start(self, state: TrainState) -> None:
        """Cut the file back to the state's step, so that no step appears twice."""
        rows = [row for row in read_metrics(self.path) if row["step"] <= state.step]
        atomic_write(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = self.path.open("a")

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Write the row if it is due."""
        is_due = state.step % self._every == 0 or state.step == self._num_steps
        if self._file is not None and (is_due or "val_loss" in row):
            try:
                self._file.write(json.dumps(row) + "\n")
                self._file.flush()
            except OSError as error:
                raise CheckpointError(f"cannot write {self.path}: {error.strerror}") from error

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Sync and close."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def read_metrics(path: str | Path) -> list[MetricsRow]:
    """The complete rows of a metrics file; a last line cut off by a kill is left out.

    Args:
        path: metrics.jsonl; a missing file has no rows.
    """
    path = Path(path)
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(row, dict) or "step" not in row:
            break
        rows.append(row)
    return rows

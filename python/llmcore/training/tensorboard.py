"""Metrics as TensorBoard scalars."""

import importlib
from pathlib import Path
from typing import Any

from llmcore.training.hooks import MetricsRow, StopStatus
from llmcore.training.state import TrainState


class TensorBoardHook:
    """Write each metric of each logged row as a scalar.

    Args:
        directory: Where the event files go.
        every: Optimiser steps between rows.
    """

    def __init__(self, directory: str | Path, *, every: int) -> None:
        self._directory = Path(directory)
        self._every = every
        self._writer: Any = None

    def on_start(self, state: TrainState) -> None:
        """Open the writer; events after the resumed step are marked as void."""
        module = importlib.import_module("torch.utils.tensorboard")
        self._writer = module.SummaryWriter(str(self._directory), purge_step=state.step + 1)

    def on_step(self, state: TrainState, row: MetricsRow) -> None:
        """Write the scalars if the row is due."""
        if state.step % self._every == 0 or "val_loss" in row:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, state.step)

    def on_stop(self, state: TrainState, status: StopStatus) -> None:
        """Close the event file."""
        self._writer.close()

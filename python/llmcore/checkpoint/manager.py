"""The checkpoints of one run: save, keep the newest few, find the newest valid one."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from llmcore.checkpoint.atomic import remove_leftovers
from llmcore.checkpoint.tensors import load_with_metadata, save_tensors
from llmcore.errors import CheckpointError

_STATE_KEY: Final = "llmcore.state"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds."""

    path: Path
    """The file."""
    step: int
    """Optimiser steps done when it was saved."""
    tensors: dict[str, Tensor]
    """By name, on the CPU."""
    json_state: dict[str, Any]
    """Everything else."""


def print_warning(message: str) -> None:
    """Show a one-line warning on standard error."""
    print(f"llmcore: warning: {message}", file=sys.stderr)


class CheckpointManager:
    """Checkpoints `step-XXXXXXXXXX.safetensors` in one directory, one file each.

    Args:
        directory: Created where it does not exist; temporary files of killed processes go.
        keep_last: Newest checkpoints kept after a save.
        warn: Told when a damaged checkpoint is passed over.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        keep_last: int,
        warn: Callable[[str], None] = print_warning,
    ) -> None:
        self.directory = Path(directory)
        self.keep_last = keep_last
        self._warn = warn
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot create {self.directory}: {error.strerror}") from error
        remove_leftovers(self.directory)

    def save(self, step: int, tensors: Mapping[str, Tensor], json_state: Mapping[str, Any]) -> Path:
        """Write the checkpoint of a step, then delete all but the newest few up to it.

        Args:
            step: Optimiser steps done.
            tensors: By name.
            json_state: JSON values.

        Raises:
            CheckpointError: it cannot be written; earlier checkpoints are untouched.
        """
        path = self.directory / f"step-{step:010d}.safetensors"
        save_tensors(path, tensors, {_STATE_KEY: json.dumps({"step": step, **json_state})})
        older = [kept for kept in self.paths() if kept.name <= path.name]
        for surplus in older[: -self.keep_last]:
            surplus.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """Load the newest valid checkpoint, or None where the directory holds none.

        A damaged one is passed over with a warning where an older valid one exists.

        Raises:
            CheckpointError: every checkpoint is damaged; the message names the newest.
        """
        failures: list[CheckpointError] = []
        for path in reversed(self.paths()):
            try:
                checkpoint = load_checkpoint(path)
            except CheckpointError as error:
                failures.append(error)
                continue
            for failure in failures:
                self._warn(f"{failure}; using {path.name} instead")
            return checkpoint
        if failures:
            raise failures[0]
        return None

    def paths(self) -> list[Path]:
        """The checkpoint files, oldest first."""
        return sorted(self.directory.glob("step-*.safetensors"))

    def clear(self) -> None:
        """Delete every checkpoint."""
        for path in self.paths():
            path.unlink(missing_ok=True)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read one checkpoint file and verify its checksum.

    Args:
        path: A file that `CheckpointManager.save` wrote.

    Raises:
        CheckpointError: missing, truncated, altered, or not a checkpoint.
    """
    tensors, notes = load_with_metadata(path, require_checksum=True)
    if _STATE_KEY not in notes:
        raise CheckpointError(f"{path}: not a training checkpoint, it holds no state")
    state = json.loads(notes[_STATE_KEY])
    return Checkpoint(path=Path(path), step=state["step"], tensors=tensors, json_state=state)

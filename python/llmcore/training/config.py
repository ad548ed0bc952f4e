"""Length, batch shape and bookkeeping of a training run."""

from dataclasses import dataclass
from typing import Final

from llmcore.config import Config, require

RESUME_FREE_FIELDS: Final = frozenset({"checkpoint_every", "keep_last", "log_every", "eval_every"})
"""Fields of `TrainConfig` that change no loss, so a resumed run may set them anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(Config):
    """What `fit` and its hooks need besides the optimiser."""

    num_steps: int
    """Optimiser steps of the whole run."""
    rows_per_batch: int = 8
    """Rows of one optimiser step, over all its micro-batches."""
    micro_batches: int = 1
    """Parts that the rows are split into to save memory; the gradients are the same."""
    seq_len: int = 256
    """Tokens per row."""
    seed: int = 0
    """Seeds weight initialisation, the order of the data and everything else."""
    checkpoint_every: int = 200
    """Optimiser steps between checkpoints; the last step always makes one."""
    keep_last: int = 2
    """Newest checkpoints kept."""
    log_every: int = 1
    """Optimiser steps between rows of metrics.jsonl."""
    eval_every: int = 0
    """Optimiser steps between evaluations on held-out data; 0 = only after the last step."""

    def validate(self) -> None:
        counts = ("num_steps", "rows_per_batch", "micro_batches", "seq_len", "checkpoint_every")
        for name in (*counts, "keep_last", "log_every"):
            value = getattr(self, name)
            require(value >= 1, f"TrainConfig: {name}", ">= 1", value)
        require(self.seed >= 0, "TrainConfig: seed", ">= 0", self.seed)
        require(self.eval_every >= 0, "TrainConfig: eval_every", ">= 0", self.eval_every)
        require(
            self.rows_per_batch % self.micro_batches == 0,
            "TrainConfig: rows_per_batch",
            f"a multiple of micro_batches = {self.micro_batches}",
            self.rows_per_batch,
        )

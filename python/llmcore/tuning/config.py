"""Configuration of instruction tuning."""

from dataclasses import dataclass
from typing import Literal

from llmcore.config import Config, require
from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTConfig(Config):
    """What `llmcore.tuning.run` needs."""

    init_from: str
    """Model directory to start from (Hugging Face layout)."""
    train_data: str
    """JSONL of `{"messages": [{"role", "content"}, ...]}` rows."""
    val_data: str = ""
    """JSONL of held-out rows for `val_loss`; empty = no evaluation."""
    tokenizer: str = ""
    """Tokenizer file or directory; empty = the one in `init_from`."""
    overlong: Literal["drop", "truncate", "split"] = "drop"
    """What becomes of a chat longer than `train.seq_len`; always counted."""
    train: TrainConfig
    """Length, batch shape and bookkeeping; a row packs several chats."""
    optim: OptimConfig = OptimConfig(peak_lr=3e-4, warmup_steps=20, weight_decay=0.0)
    """Optimiser."""

    def validate(self) -> None:
        require(self.init_from != "", "SFTConfig: init_from", "a model directory", self.init_from)
        require(self.train_data != "", "SFTConfig: train_data", "a JSONL file", self.train_data)

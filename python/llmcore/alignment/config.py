"""Configuration of direct preference optimisation."""

from dataclasses import dataclass

from llmcore.config import Config, require
from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOConfig(Config):
    """What `llmcore.alignment.run` needs."""

    init_from: str
    """Model directory to start from; frozen, it is the reference as well."""
    train_data: str
    """JSONL of `{"prompt": [messages], "chosen": [message], "rejected": [message]}` rows."""
    val_data: str = ""
    """JSONL of held-out pairs for `val_loss` and `val_accuracy`; empty = no evaluation."""
    tokenizer: str = ""
    """Tokenizer file or directory; empty = the one in `init_from`."""
    beta: float = 0.1
    """Strength of the tie to the reference."""
    label_smoothing: float = 0.0
    """Probability that a preference is flipped (cDPO), in [0, 0.5)."""
    sft_coef: float = 0.0
    """Weight of the mean negative log-likelihood per token of the chosen answers."""
    kl_every: int = 10
    """Optimiser steps between measurements of the KL to the reference; 0 = never."""
    train: TrainConfig
    """Length and bookkeeping; a "row" of `rows_per_batch` is one pair, both answers."""
    optim: OptimConfig = OptimConfig(peak_lr=5e-5, warmup_steps=20, weight_decay=0.0)
    """Optimiser."""

    def validate(self) -> None:
        require(self.init_from != "", "DPOConfig: init_from", "a model directory", self.init_from)
        require(self.train_data != "", "DPOConfig: train_data", "a JSONL file", self.train_data)
        require(self.beta > 0, "DPOConfig: beta", "above 0", self.beta)
        require(
            0 <= self.label_smoothing < 0.5,
            "DPOConfig: label_smoothing",
            "in [0, 0.5)",
            self.label_smoothing,
        )
        require(self.sft_coef >= 0, "DPOConfig: sft_coef", ">= 0", self.sft_coef)
        require(self.kl_every >= 0, "DPOConfig: kl_every", ">= 0", self.kl_every)

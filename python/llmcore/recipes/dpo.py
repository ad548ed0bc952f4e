"""Preference-alignment recipes."""

from llmcore.alignment import DPOConfig
from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig


def tiny() -> DPOConfig:
    """The tuned quickstart model on the preference pairs that quickstart generates.

    Minutes on two CPU cores. Set `init_from` and `train_data` for a model and pairs of your own.
    """
    return DPOConfig(
        init_from="runs/quickstart/sft",
        train_data="runs/quickstart/data/dpo_train.jsonl",
        optim=OptimConfig(peak_lr=1e-4, warmup_steps=10, weight_decay=0.0),
        train=TrainConfig(num_steps=150, rows_per_batch=16, seq_len=256),
    )


def small() -> DPOConfig:
    """A model of the `small` tuning recipe on pairs of your own, close to its reference."""
    return DPOConfig(
        init_from="runs/sft-small",
        train_data="pairs.jsonl",
        optim=OptimConfig(peak_lr=1e-6, warmup_steps=50, weight_decay=0.0),
        train=TrainConfig(num_steps=500, rows_per_batch=32, micro_batches=8, seq_len=1024),
    )

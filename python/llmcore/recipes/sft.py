"""Instruction-tuning recipes."""

from llmcore.optim import OptimConfig
from llmcore.training import TrainConfig
from llmcore.tuning import SFTConfig


def tiny() -> SFTConfig:
    """The pre-trained quickstart model on the instructions that quickstart generates.

    Minutes on two CPU cores. Set `init_from` and `train_data` for a model and chats of your own.
    """
    return SFTConfig(
        init_from="runs/quickstart/pretrain",
        train_data="runs/quickstart/data/sft_train.jsonl",
        optim=OptimConfig(peak_lr=1e-3, warmup_steps=20, weight_decay=0.0),
        train=TrainConfig(num_steps=400, rows_per_batch=16, seq_len=256),
    )


def small() -> SFTConfig:
    """A model of the `small` pre-training recipe on chats of your own: gentle, long rows."""
    return SFTConfig(
        init_from="runs/pretrain-small",
        train_data="chats.jsonl",
        optim=OptimConfig(peak_lr=1e-4, warmup_steps=50, weight_decay=0.0),
        train=TrainConfig(num_steps=1000, rows_per_batch=32, micro_batches=4, seq_len=1024),
    )

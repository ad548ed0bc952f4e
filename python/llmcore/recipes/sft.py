"""Instruction-tuning recipes."""

from llmcore.optim import OptimConfig
from llmcore.recipes.quickstart import quickstart
from llmcore.training import TrainConfig
from llmcore.tuning import SFTConfig


def tiny() -> SFTConfig:
    """The quickstart's instruction tuning by itself: minutes on two CPU cores.

    Starts from the model and the chats that `llmcore quickstart` leaves; set `init_from` and
    `train_data` for your own.
    """
    whole = quickstart()
    return SFTConfig(
        init_from="runs/quickstart/pretrain",
        train_data="runs/quickstart/data/sft_train.jsonl",
        optim=whole.sft.optim,
        train=whole.sft.train,
    )


def small() -> SFTConfig:
    """A model of the `small` pre-training recipe on chats of your own: gentle, long rows."""
    return SFTConfig(
        init_from="runs/pretrain-small",
        train_data="chats.jsonl",
        optim=OptimConfig(peak_lr=1e-4, warmup_steps=50, weight_decay=0.0),
        train=TrainConfig(num_steps=1000, rows_per_batch=32, micro_batches=4, seq_len=1024),
    )

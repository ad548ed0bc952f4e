"""Preference-alignment recipes."""

from llmcore.alignment import DPOConfig
from llmcore.optim import OptimConfig
from llmcore.recipes.quickstart import quickstart
from llmcore.training import TrainConfig


def tiny() -> DPOConfig:
    """The quickstart's preference alignment by itself: a minute on two CPU cores.

    Starts from the model and the pairs that `llmcore quickstart` leaves; set `init_from` and
    `train_data` for your own.
    """
    whole = quickstart()
    return DPOConfig(
        init_from="runs/quickstart/sft",
        train_data="runs/quickstart/data/dpo_train.jsonl",
        beta=whole.dpo_beta,
        optim=whole.dpo.optim,
        train=whole.dpo.train,
    )


def small() -> DPOConfig:
    """A model of the `small` tuning recipe on pairs of your own, close to its reference."""
    return DPOConfig(
        init_from="runs/sft-small",
        train_data="pairs.jsonl",
        optim=OptimConfig(peak_lr=1e-6, warmup_steps=50, weight_decay=0.0),
        train=TrainConfig(num_steps=500, rows_per_batch=32, micro_batches=8, seq_len=1024),
    )
